package stsapi

import "github.com/shardmill/shardmill/transport/awshttp"

// getCallerIdentity tells the account. Keys here act for the whole account, as its root does.
func (a *API) getCallerIdentity(c *awshttp.NeighbourCall) {
	c.QueryReply(namespace, "GetCallerIdentity", awshttp.XMLElement("Arn", "arn:aws:iam::"+c.Account+":root")+
		awshttp.XMLElement("UserId", c.Account)+awshttp.XMLElement("Account", c.Account))
}
