// Package dynamodbapi answers the part of DynamoDB that consumers of streams need to keep their leases: the Kinesis Client
// Library of all three generations and the lock client in it. It is a neighbour, not a DynamoDB: whatever lies outside is
// answered 501 with one sentence, never with a guess.
//
// API holds the actions, one file each; package itemstore keeps the items. Tables and indexes are ACTIVE at once, reads are
// always consistent, capacity is shown but not enforced.
//
// The package reads and writes JSON 1.0 documents (application/x-amz-json-1.0) with X-Amz-Target DynamoDB_20120810.*,
// errors with their namespace in __type, and the x-amz-crc32 header.
package dynamodbapi
