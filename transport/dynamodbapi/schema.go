package dynamodbapi

import "github.com/shardmill/shardmill/internal/itemstore"

// attributes reads AttributeDefinitions.
func (f *fields) attributes() (all []itemstore.Attribute) {
	for _, d := range f.list("AttributeDefinitions") {
		kind := d.oneOf("AttributeType", "", "S", "N", "B")
		name := d.text("AttributeName")
		if d.err == nil && (kind == "" || name == "" || len(name) > 255) {
			d.fail(invalid("1 validation error detected: AttributeDefinitions want AttributeName and AttributeType each"))
		}
		if d.err != nil {
			f.fail(d.err)
			return nil
		}
		all = append(all, itemstore.Attribute{Name: name, Type: itemstore.Type(kind[0])})
	}
	return all
}

// key reads KeySchema.
func (f *fields) key() (k itemstore.Key) {
	for i, part := range f.list("KeySchema") {
		kind, name := part.oneOf("KeyType", "", "HASH", "RANGE"), part.text("AttributeName")
		switch {
		case part.err != nil:
			f.fail(part.err)
		case i == 0 && kind == "HASH" && name != "":
			k.Hash = name
		case i == 1 && kind == "RANGE" && name != "" && name != k.Hash:
			k.Range = name
		default:
			f.fail(invalid("Invalid KeySchema: want one HASH key, and at most one RANGE key after it"))
		}
	}
	if k.Hash == "" {
		f.fail(invalid("1 validation error detected: Value null at 'keySchema' failed to satisfy constraint: Member must not be null"))
	}
	return k
}

// indexes reads a list of global secondary indexes.
func (f *fields) indexes(name string) (all []itemstore.Index) {
	for _, d := range f.list(name) {
		all = append(all, d.index())
		if d.err != nil {
			f.fail(d.err)
		}
	}
	return all
}

func (f *fields) index() itemstore.Index {
	ix := itemstore.Index{Name: f.text("IndexName"), Key: f.key()}
	f.checkName("indexName", ix.Name)
	projection, _ := f.object("Projection")
	ix.Projection = projection.oneOf("ProjectionType", "ALL", "KEYS_ONLY", "INCLUDE")
	ix.Include = projection.texts("NonKeyAttributes")
	if projection.err == nil && len(ix.Include) > 0 != (ix.Projection == "INCLUDE") {
		projection.fail(invalid("One or more parameter values were invalid: ProjectionType is " + ix.Projection + ", which does not fit NonKeyAttributes"))
	}
	if projection.err != nil {
		f.fail(projection.err)
	}
	return ix
}

// billing reads BillingMode and ProvisionedThroughput.
func (f *fields) billing() (onDemand bool, read, write int64) {
	onDemand = f.oneOf("BillingMode", "PROVISIONED", "PAY_PER_REQUEST") == "PAY_PER_REQUEST"
	units, given := f.object("ProvisionedThroughput")
	const most = 1 << 40
	read, _ = units.number("ReadCapacityUnits", 1, most)
	write, _ = units.number("WriteCapacityUnits", 1, most)
	switch {
	case units.err != nil:
		f.fail(units.err)
	case onDemand && given:
		f.fail(invalid("One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"))
	case !onDemand && (read == 0 || write == 0):
		f.fail(invalid("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"))
	}
	return onDemand, read, write
}
