// Package itemstore keeps tables of items in one bbolt file: the small part of DynamoDB that consumers of streams need for
// their leases, without a wire.
//
// Store is the file. Table describes one table: its key, and global secondary indexes that are kept in the same
// transaction as the items, so that they never lag. Item and Value are what it holds. Write is one conditional change,
// several of them are one transaction. Query and Scan read pages. ParseCondition and ParseUpdate read the part of the
// expression language that is spoken: AND, =, attribute_exists, attribute_not_exists, SET and REMOVE of top-level
// attributes. What lies outside is ErrUnsupported, never a guess.
//
// It writes one file. Bucket "tables" maps account, region and name to a JSON description; bucket "t" + id holds a table:
// "items" from encoded key to encoded item (see encode.go and key.go), "ix:" + name for each index from index key and
// primary key to the primary key, and "stats" with the number of items and their bytes.
package itemstore
