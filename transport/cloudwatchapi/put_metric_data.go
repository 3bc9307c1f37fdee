package cloudwatchapi

import (
	"strconv"

	"github.com/shardmill/shardmill/transport/awshttp"
)

// Limits of PutMetricData, CloudWatch's.
const (
	maxData = 1000 // per request
	maxName = 255  // characters of a name
)

// putMetricData checks that data have a form, and counts them.
func (a *API) putMetricData(in awshttp.Value) *awshttp.Error {
	missing := func(name string) *awshttp.Error {
		return &awshttp.Error{Type: "MissingParameter", Message: "The parameter " + name + " is required."}
	}
	wrong := func(name, why string) *awshttp.Error {
		return &awshttp.Error{Type: "InvalidParameterValue", Message: "The parameter " + name + " " + why}
	}
	if space := in.Get("Namespace"); space.Kind != awshttp.String || space.Str == "" {
		return missing("Namespace")
	} else if len(space.Str) > maxName {
		return wrong("Namespace", "must be shorter than 256 characters.")
	}
	n := 0
	for _, m := range []awshttp.Value{in.Get("MetricData"), entityData(in)} {
		if m.Kind != awshttp.List && m.Kind != awshttp.Null {
			return wrong("MetricData", "must be a list.")
		}
		n += len(m.List)
		for i := range m.List {
			name := m.List[i].Get("MetricName")
			at := "MetricData.member." + strconv.Itoa(i+1) + ".MetricName"
			if name.Kind != awshttp.String || name.Str == "" {
				return missing(at)
			}
			if len(name.Str) > maxName {
				return wrong(at, "must be shorter than 256 characters.")
			}
		}
	}
	switch {
	case n == 0:
		return missing("MetricData")
	case n > maxData:
		return wrong("MetricData", "must not have more than 1000 members.")
	}
	a.data.Add(uint64(n))
	return nil
}

// entityData is the data that came grouped by entity.
func entityData(in awshttp.Value) awshttp.Value {
	groups, all := in.Get("EntityMetricData"), awshttp.Value{}
	for i := range groups.List {
		m := groups.List[i].Get("MetricData")
		all.Kind = awshttp.List
		all.List = append(all.List, m.List...)
	}
	return all
}
