package engine

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/codec/sequence"
)

// The texts are those of the Kinesis API, as its conformance suites pin them.

func TestCreateMessages(t *testing.T) {
	o := Options{RingSize: smallRing, ShardLimit: 20}
	e := openTest(t, o)
	f := func(c CreateStream, code Code, message string) {
		t.Helper()
		err := e.CreateStream(context.Background(), c)
		if message == "" {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		wantError(t, err, code, message)
	}
	const limit = "This request would exceed the shard limit for the account 000000000000 in us-east-1. " +
		"Current shard count for the account: %d. Limit: 20. Number of additional shards that would have resulted from this request: %d. " +
		"Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) " +
		"for current limits and how to request higher limits."
	f(CreateStream{Name: Name{Stream: "a"}, Shards: 3}, 0, "")
	f(CreateStream{Name: Name{Stream: "a"}, Shards: 1}, CodeInUse, "Stream a under account 000000000000 already exists.")
	f(CreateStream{Name: Name{Stream: "a"}, Shards: 100}, CodeInUse, "Stream a under account 000000000000 already exists.")
	f(CreateStream{Name: Name{Stream: "b"}, Shards: 100000}, CodeLimitExceeded, fmt.Sprintf(limit, 3, 100000))
	f(CreateStream{Name: Name{Stream: "b"}, Shards: 18}, CodeLimitExceeded, fmt.Sprintf(limit, 3, 18))
	f(CreateStream{Name: Name{Stream: "b"}, Shards: 17}, 0, "")
	f(CreateStream{Name: Name{Stream: "c"}, Shards: 1}, CodeLimitExceeded, fmt.Sprintf(limit, 20, 1))
	// Another region and another account have their own names and limits.
	f(CreateStream{Name: Name{Stream: "a", Region: "eu-west-1"}, Shards: 20}, 0, "")
	f(CreateStream{Name: Name{Stream: "a", Account: "123456789012"}, Shards: 20}, 0, "")
	f(CreateStream{Name: Name{Stream: "d", Region: "x"}, Shards: 0}, CodeInvalidArgument, "ShardCount must be at least 1. Specified value was 0")
	if open, limit, onDemand := e.ShardUse("", ""); open != 20 || limit != 20 || onDemand != 0 {
		t.Fatal(open, limit, onDemand)
	}
	if err := e.DeleteStream(context.Background(), Name{Stream: "b"}); err != nil {
		t.Fatal(err)
	}
	f(CreateStream{Name: Name{Stream: "b"}, Shards: 17}, 0, "")
	if n := len(e.Streams("", "")); n != 2 {
		t.Fatalf("%d streams", n)
	}
}

func TestOnDemand(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, Options{RingSize: smallRing})
	for i := range onDemandLimit {
		s := createWith(t, e, CreateStream{Name: Name{Stream: fmt.Sprint("s", i)}, OnDemand: true})
		if n := s.Info().OpenShards(); n != 4 || !s.Info().OnDemand {
			t.Fatalf("%d shards", n)
		}
	}
	wantError(t, e.CreateStream(ctx, CreateStream{Name: Name{Stream: "more"}, OnDemand: true}), CodeLimitExceeded,
		"This request would exceed the limit on the number of On-Demand streams for the account 000000000000 in us-east-1. Current On-Demand streams count: 50. Limit: 50.")
	if _, _, n := e.ShardUse("", ""); n != 50 {
		t.Fatal(n)
	}
	s, _ := e.Stream(Name{Stream: "s0"})
	const text = "Request is invalid. Stream s0 under account 000000000000 is in On-Demand mode."
	wantError(t, s.Split(ctx, "0", "5"), CodeValidation, text)
	wantError(t, s.Merge(ctx, "0", "1"), CodeValidation, text)
	wantError(t, s.Reshard(ctx, 8), CodeValidation, text)
}

func TestControlMessages(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, Options{RingSize: smallRing, ShardLimit: 12})
	s := createTest(t, e, "s", 3)
	third := hashkey.Even(3)
	f := func(err error, code Code, message string) {
		t.Helper()
		wantError(t, err, code, message)
	}
	name, missing := s.name, Name{Stream: "nope"}

	_, err := e.Stream(missing)
	f(err, CodeNotFound, "Stream nope under account 000000000000 not found.")
	f(e.DeleteStream(ctx, missing), CodeNotFound, "Stream nope under account 000000000000 not found.")
	f(e.Split(ctx, missing, "0", "5"), CodeNotFound, "Stream nope under account 000000000000 not found.")
	f(e.Split(ctx, missing, "ABC", "5"), CodeNotFound, "Could not find shard ABC in stream nope under account 000000000000.")
	f(e.Merge(ctx, missing, "0", "2147483648"), CodeNotFound, "Could not find shard 2147483648 in stream nope under account 000000000000.")

	f(s.Split(ctx, "2.14E4", "5"), CodeNotFound, "Could not find shard 2.14E4 in stream s under account 000000000000.")
	f(s.Split(ctx, "shardId-5", "5"), CodeNotFound, "Could not find shard shardId-000000000005 in stream s under account 000000000000.")
	const outside = "NewStartingHashKey %s used in SplitShard() on shard shardId-000000000001 in stream s under account 000000000000 is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s."
	for _, at := range []string{"0", third[1].First.String(), third[1].First.Next().String(), third[1].Last.String(), third[2].First.String(),
		"340282366920938463463374607431768211455", "340282366920938463463374607431768211456", "999999999999999999999999999999999999999"} {
		f(s.Split(ctx, "x-1", at), CodeInvalidArgument, fmt.Sprintf(outside, at, third[1].First, third[1].Last))
	}
	const apart = "Shards %s and %s in stream s under account 000000000000 are not an adjacent pair of shards eligible for merging"
	f(s.Merge(ctx, "0", "2"), CodeInvalidArgument, fmt.Sprintf(apart, ShardID(0), ShardID(2)))
	f(s.Merge(ctx, "1", "0"), CodeInvalidArgument, fmt.Sprintf(apart, ShardID(1), ShardID(0)))
	f(s.Merge(ctx, "2", "0"), CodeInvalidArgument, fmt.Sprintf(apart, ShardID(2), ShardID(0)))
	f(s.Merge(ctx, "0", "0"), CodeInvalidArgument, fmt.Sprintf(apart, ShardID(0), ShardID(0)))
	f(s.Merge(ctx, "0", "7"), CodeNotFound, "Could not find shard shardId-000000000007 in stream s under account 000000000000.")

	if err := s.Split(ctx, "shardId-000000000001", third[1].Mid().String()); err != nil {
		t.Fatal(err)
	}
	const closed = "Shard shardId-000000000001 in stream s under account 000000000000 has already been merged or split, and thus is not eligible for merging or splitting."
	f(s.Split(ctx, "1", third[1].Mid().String()), CodeInvalidArgument, closed)
	f(s.Merge(ctx, "0", "1"), CodeInvalidArgument, closed)
	f(s.Merge(ctx, "1", "2"), CodeInvalidArgument, closed)

	f(s.Reshard(ctx, 9), CodeLimitExceeded, "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 4 Target shard count: 9")
	f(s.Reshard(ctx, 1), CodeLimitExceeded, "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 4 Target shard count: 1")
	createTest(t, e, "other", 8)
	f(s.Reshard(ctx, 8), CodeLimitExceeded, shardLimitError(name, 12, 12, 4).Message)
	f(s.Split(ctx, "0", "5"), CodeLimitExceeded, shardLimitError(name, 12, 12, 1).Message)
	if open, _, _ := e.ShardUse("", ""); open != 12 {
		t.Fatalf("%d open shards after refusals", open)
	}
}

func TestRetentionMessages(t *testing.T) {
	ctx := context.Background()
	s := createTest(t, openTest(t, Options{RingSize: smallRing}), "s", 1)
	f := func(hours int, increase bool, message string) {
		t.Helper()
		err := s.SetRetention(ctx, hours, increase)
		if message == "" {
			if err != nil || s.Info().RetentionHours != hours {
				t.Fatal(err, s.Info().RetentionHours)
			}
			return
		}
		wantError(t, err, CodeInvalidArgument, message)
	}
	f(23, true, "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.")
	f(23, false, "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.")
	f(8761, true, "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.")
	f(24, true, "")
	f(48, false, "Requested retention period (48 hours) for stream s can not be longer than existing retention period (24 hours). Use IncreaseRetentionPeriod API.")
	f(8760, true, "")
	f(48, true, "Requested retention period (48 hours) for stream s can not be shorter than existing retention period (8760 hours). Use DecreaseRetentionPeriod API.")
	f(48, false, "")
}

func TestTags(t *testing.T) {
	ctx := context.Background()
	s := createTest(t, openTest(t, Options{RingSize: smallRing}), "s", 1)
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint("k", i)] = "v"
		}
		return m
	}
	f := func(add map[string]string, remove []string, want map[string]string, message string) {
		t.Helper()
		err := s.SetTags(ctx, add, remove)
		if message != "" {
			wantError(t, err, CodeInvalidArgument, message)
		} else if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(s.Info().Tags, want) {
			t.Fatalf("%v, want %v", s.Info().Tags, want)
		}
	}
	const characters = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @."
	const illegal = "because some tags contained illegal characters. The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'."
	f(map[string]string{"a;": "b"}, nil, nil, characters)
	f(map[string]string{"a": "b;"}, nil, nil, characters)
	f(map[string]string{"a%": "b"}, nil, nil, "Failed to add tags to stream s under account 000000000000 "+illegal)
	f(map[string]string{"a": "%"}, nil, nil, "Failed to add tags to stream s under account 000000000000 "+illegal)
	f(nil, []string{"a%"}, nil, "Failed to remove tags from stream s under account 000000000000 "+illegal)
	f(nil, []string{"a!"}, nil, characters)
	f(many(51), nil, nil, "Failed to add tags to stream s under account 000000000000 because a given stream cannot have more than 10 tags associated with it.")
	f(many(50), nil, many(50), "")
	f(map[string]string{"more": "v"}, nil, many(50), "Failed to add tags to stream s under account 000000000000 because a given stream cannot have more than 10 tags associated with it.")
	f(map[string]string{"k1": "v"}, nil, many(50), "")
	f(nil, slicesOfKeys(many(49)), map[string]string{"k49": "v"}, "")
	f(map[string]string{"Übergröße 1_./=+-@": "ß"}, []string{"k49", "absent"}, map[string]string{"Übergröße 1_./=+-@": "ß"}, "")

	wantError(t, s.e.CreateStream(ctx, CreateStream{Name: Name{Stream: "t"}, Shards: 1, Tags: map[string]string{"a": "?"}}), CodeInvalidArgument,
		"Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . : / = + - @.")
	u := createWith(t, s.e, CreateStream{Name: Name{Stream: "u"}, Shards: 1, Tags: map[string]string{"a:b": "c"}})
	if u.Info().Tags["a:b"] != "c" {
		t.Fatal(u.Info().Tags)
	}
}

func slicesOfKeys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func TestIteratorMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openTest(t, Options{RingSize: smallRing})
		s := createTest(t, e, "s", 3)
		time.Sleep(1500 * time.Millisecond) // another second: another stream's numbers differ
		late := createTest(t, e, "late", 3)
		first := put(t, s, rec("a", "1"))[0]
		shard := ShardID(first.Shard)
		number := first.Sequence.String()
		f := func(shardID string, typ IteratorType, seq string, at *time.Time, code Code, message string) {
			t.Helper()
			_, err := s.Iterator(shardID, typ, seq, at)
			if message == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantError(t, err, code, message)
		}
		pair := func(typ, has string) string {
			return "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. " +
				"Request specified " + typ + " and " + has + " StartingSequenceNumber."
		}
		invalid := func(seq, why string) string {
			return "StartingSequenceNumber " + seq + " used in GetShardIterator on shard shardId-000000000000 in stream s under account 000000000000 is invalid" + why + "."
		}
		f("0", Latest, "5", nil, CodeInvalidArgument, pair("LATEST", "also a"))
		f("0", TrimHorizon, "5", nil, CodeInvalidArgument, pair("TRIM_HORIZON", "also a"))
		f("0", AtSequence, "", nil, CodeInvalidArgument, pair("AT_SEQUENCE_NUMBER", "no"))
		f("0", AfterSequence, "", nil, CodeInvalidArgument, pair("AFTER_SEQUENCE_NUMBER", "no"))
		f("5", AtSequence, "5", nil, CodeNotFound, "Shard shardId-000000000005 in stream s under account 000000000000 does not exist")
		f("a-00002147483647", Latest, "", nil, CodeNotFound, "Shard shardId-002147483647 in stream s under account 000000000000 does not exist")
		f("-00002147483647", Latest, "", nil, CodeNotFound, "Shard shardId-002147483647 in stream s under account 000000000000 does not exist")
		f("2147483648", Latest, "", nil, CodeNotFound, "Could not find shard 2147483648 in stream s under account 000000000000.")
		f("ABKLFD8", Latest, "", nil, CodeNotFound, "Could not find shard ABKLFD8 in stream s under account 000000000000.")
		f("0", AtSequence, "5", nil, CodeInvalidArgument,
			"Invalid StartingSequenceNumber. It encodes shardId-000000000005, while it was used in a call to a shard with shardId-000000000000")
		f("0", AtSequence, "0", nil, CodeInternal, "Internal Service Failure")
		f("0", AtSequence, "26227199374822427428162556223570313216", nil, CodeInvalidArgument, invalid("26227199374822427428162556223570313216", ""))
		f("0", AtSequence, hexNumber("20000000000800000000000000000000000000000000002"), nil, CodeInvalidArgument,
			invalid(hexNumber("20000000000800000000000000000000000000000000002"), ""))
		f("0", AtSequence, hexNumber("20000000000000000000000000000000000000800000002"), nil, CodeInvalidArgument,
			"Invalid StartingSequenceNumber. It encodes shardId--02147483648, while it was used in a call to a shard with shardId-000000000000")
		f("0", AtSequence, "not-a-number", nil, CodeInvalidArgument, invalid("not-a-number", ""))
		foreign := sequence.Start(late.Info().Shards[0].CreatedSeconds, 0).String()
		f("0", AtSequence, foreign, nil, CodeInvalidArgument, invalid(foreign, " because it did not come from this stream"))
		f("0", AtTimestamp, "", nil, CodeInvalidArgument,
			"Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
		now := time.Now()
		future := now.Add(2 * time.Second)
		f("0", AtTimestamp, "", &future, CodeInvalidArgument, fmt.Sprintf("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "+
			"timestampInMillis: %d, currentTimestampInMillis: %d", future.UnixMilli(), now.UnixMilli()))
		f("0", AtTimestamp, "", &now, 0, "")
		f(shard, AtSequence, number, nil, 0, "")
		f(shard, AfterSequence, number, nil, 0, "")
		for _, id := range []string{"shardId-000000000000", "shardId-0", "0", "x-0", "000", "-0"} {
			f(id, Latest, "", nil, 0, "")
			f(id, TrimHorizon, "", nil, 0, "")
		}
	})
}

func TestExpiredIterator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openTest(t, Options{RingSize: smallRing})
		s := createTest(t, e, "s", 3)
		_, err := e.Iterator(Name{Stream: "nope"}, "5", Latest, "", nil)
		wantError(t, err, CodeNotFound, "Shard shardId-000000000005 in stream nope under account 000000000000 does not exist")
		_, err = e.Iterator(Name{Stream: "nope"}, "x", Latest, "", nil)
		wantError(t, err, CodeNotFound, "Could not find shard x in stream nope under account 000000000000.")

		token, err := e.Iterator(Name{Stream: "s"}, "1", Latest, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		made := time.Now().UTC()
		time.Sleep(iteratorLife)
		if p, err := e.Records(context.Background(), token, 1); err != nil {
			t.Fatal(err)
		} else {
			p.Release()
		}
		time.Sleep(time.Second)
		_, err = e.Records(context.Background(), token, 1)
		wantError(t, err, CodeExpiredIterator, "Iterator expired. The iterator was created at time "+made.Format("Mon Jan 02 15:04:05 UTC 2006")+
			" while right now it is "+time.Now().UTC().Format("Mon Jan 02 15:04:05 UTC 2006")+
			" which is further in the future than the tolerated delay of 300000 milliseconds.")
		if !strings.HasPrefix(made.Format("Mon Jan 02 15:04:05 UTC 2006"), "Sat Jan 01 00:00:0") { // the bubble begins there
			t.Fatal(made)
		}

		token, err = e.Iterator(Name{Stream: "s"}, "1", Latest, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.DeleteStream(context.Background(), Name{Stream: "s"}); err != nil {
			t.Fatal(err)
		}
		const gone = "Shard shardId-000000000001 in stream s under account 000000000000 does not exist"
		_, err = e.Records(context.Background(), token, 1)
		wantError(t, err, CodeNotFound, gone)
		createTest(t, e, "s", 1)
		_, err = e.Records(context.Background(), token, 1)
		wantError(t, err, CodeNotFound, gone)
		wantError(t, s.Append(context.Background(), []Record{rec("a", "b")}, LevelMem, make([]Appended, 1)), CodeNotFound,
			"Stream s under account 000000000000 not found.")
	})
}
