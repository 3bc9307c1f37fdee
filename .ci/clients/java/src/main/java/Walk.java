import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.*;

/**
 * Walks the Kinesis API with the AWS SDK for Java 2 as a program written for AWS would, against the endpoint in
 * AWS_ENDPOINT_URL_KINESIS: the synchronous client over HTTP/1.1, the asynchronous one over HTTP/2 without TLS. Both speak
 * CBOR, which is checked. Prints one line a step and ends with "N passed, 0 failed"; the exit status is 1 at the first
 * failure.
 */
public final class Walk {
    private static int passed;
    private static final Set<String> contentTypes = new HashSet<>();

    /** The calls of the walk, for either client. */
    private interface Calls {
        CreateStreamResponse create(CreateStreamRequest r);
        DescribeStreamResponse describe(DescribeStreamRequest r);
        DescribeStreamSummaryResponse summary(DescribeStreamSummaryRequest r);
        PutRecordResponse put(PutRecordRequest r);
        PutRecordsResponse puts(PutRecordsRequest r);
        GetShardIteratorResponse iterator(GetShardIteratorRequest r);
        GetRecordsResponse get(GetRecordsRequest r);
        ListShardsResponse shards(ListShardsRequest r);
        SplitShardResponse split(SplitShardRequest r);
        StartStreamEncryptionResponse encrypt(StartStreamEncryptionRequest r);
        DeleteStreamResponse delete(DeleteStreamRequest r);
    }

    private static Calls of(KinesisClient k) {
        return new Calls() {
            public CreateStreamResponse create(CreateStreamRequest r) { return k.createStream(r); }
            public DescribeStreamResponse describe(DescribeStreamRequest r) { return k.describeStream(r); }
            public DescribeStreamSummaryResponse summary(DescribeStreamSummaryRequest r) { return k.describeStreamSummary(r); }
            public PutRecordResponse put(PutRecordRequest r) { return k.putRecord(r); }
            public PutRecordsResponse puts(PutRecordsRequest r) { return k.putRecords(r); }
            public GetShardIteratorResponse iterator(GetShardIteratorRequest r) { return k.getShardIterator(r); }
            public GetRecordsResponse get(GetRecordsRequest r) { return k.getRecords(r); }
            public ListShardsResponse shards(ListShardsRequest r) { return k.listShards(r); }
            public SplitShardResponse split(SplitShardRequest r) { return k.splitShard(r); }
            public StartStreamEncryptionResponse encrypt(StartStreamEncryptionRequest r) { return k.startStreamEncryption(r); }
            public DeleteStreamResponse delete(DeleteStreamRequest r) { return k.deleteStream(r); }
        };
    }

    private static Calls of(KinesisAsyncClient k) {
        return new Calls() {
            public CreateStreamResponse create(CreateStreamRequest r) { return k.createStream(r).join(); }
            public DescribeStreamResponse describe(DescribeStreamRequest r) { return k.describeStream(r).join(); }
            public DescribeStreamSummaryResponse summary(DescribeStreamSummaryRequest r) { return k.describeStreamSummary(r).join(); }
            public PutRecordResponse put(PutRecordRequest r) { return k.putRecord(r).join(); }
            public PutRecordsResponse puts(PutRecordsRequest r) { return k.putRecords(r).join(); }
            public GetShardIteratorResponse iterator(GetShardIteratorRequest r) { return k.getShardIterator(r).join(); }
            public GetRecordsResponse get(GetRecordsRequest r) { return k.getRecords(r).join(); }
            public ListShardsResponse shards(ListShardsRequest r) { return k.listShards(r).join(); }
            public SplitShardResponse split(SplitShardRequest r) { return k.splitShard(r).join(); }
            public StartStreamEncryptionResponse encrypt(StartStreamEncryptionRequest r) { return k.startStreamEncryption(r).join(); }
            public DeleteStreamResponse delete(DeleteStreamRequest r) { return k.deleteStream(r).join(); }
        };
    }

    /** Notes what wire form the server answers in. */
    private static final class Listener implements ExecutionInterceptor {
        @Override
        public void afterTransmission(Context.AfterTransmission c, ExecutionAttributes a) {
            c.httpRequest().firstMatchingHeader("Content-Type").ifPresent(contentTypes::add);
            c.httpResponse().firstMatchingHeader("Content-Type").ifPresent(contentTypes::add);
        }
    }

    public static void main(String[] args) {
        URI endpoint = URI.create(System.getenv("AWS_ENDPOINT_URL_KINESIS"));
        StaticCredentialsProvider credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));
        try {
            try (KinesisClient k = KinesisClient.builder().endpointOverride(endpoint).region(Region.US_EAST_1)
                    .credentialsProvider(credentials).httpClientBuilder(UrlConnectionHttpClient.builder())
                    .overrideConfiguration(o -> o.addExecutionInterceptor(new Listener())).build()) {
                walk("sync", of(k));
            }
            try (KinesisAsyncClient k = KinesisAsyncClient.builder().endpointOverride(endpoint).region(Region.US_EAST_1)
                    .credentialsProvider(credentials).httpClientBuilder(NettyNioAsyncHttpClient.builder().protocol(Protocol.HTTP2))
                    .overrideConfiguration(o -> o.addExecutionInterceptor(new Listener())).build()) {
                walk("async", of(k));
            }
            step("only CBOR was spoken", contentTypes.equals(Set.of("application/x-amz-cbor-1.1")));
        } catch (RuntimeException e) {
            e.printStackTrace();
            System.out.println(passed + " passed, 1 failed");
            System.exit(1);
        }
        System.out.println(passed + " passed, 0 failed");
        System.exit(0);
    }

    private static void step(String what, boolean ok) {
        if (!ok) {
            throw new IllegalStateException("FAILED: " + what + " " + contentTypes);
        }
        passed++;
        System.out.println("ok  " + what);
    }

    private static <T extends KinesisException> T refused(Class<T> type, Runnable call) {
        try {
            call.run();
        } catch (CompletionException e) {
            return type.cast(e.getCause());
        } catch (KinesisException e) {
            return type.cast(e);
        }
        throw new IllegalStateException("FAILED: should be refused with " + type.getSimpleName());
    }

    private static byte[] payload(int n) {
        byte[] b = new byte[n];
        for (int i = 0; i < n; i++) {
            b[i] = (byte) (i * 31);
        }
        return b;
    }

    private static List<software.amazon.awssdk.services.kinesis.model.Record> read(Calls k, String stream, String shard, Instant since) {
        GetShardIteratorRequest.Builder b = GetShardIteratorRequest.builder().streamName(stream).shardId(shard);
        if (since == null) {
            b.shardIteratorType(ShardIteratorType.TRIM_HORIZON);
        } else {
            b.shardIteratorType(ShardIteratorType.AT_TIMESTAMP).timestamp(since);
        }
        String it = k.iterator(b.build()).shardIterator();
        List<software.amazon.awssdk.services.kinesis.model.Record> out = new ArrayList<>();
        while (it != null) {
            GetRecordsResponse page = k.get(GetRecordsRequest.builder().shardIterator(it).limit(100).build());
            out.addAll(page.records());
            if (page.records().isEmpty() && page.millisBehindLatest() == 0) {
                break;
            }
            it = page.nextShardIterator();
        }
        return out;
    }

    private static void awaitActive(Calls k, String stream) {
        for (int i = 0; i < 300; i++) {
            DescribeStreamSummaryResponse r = k.summary(DescribeStreamSummaryRequest.builder().streamName(stream).build());
            if (r.streamDescriptionSummary().streamStatus() == StreamStatus.ACTIVE) {
                return;
            }
            try {
                Thread.sleep(100);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
        throw new IllegalStateException("FAILED: " + stream + " does not become ACTIVE");
    }

    private static void walk(String kind, Calls k) {
        String stream = "java-walk-" + kind;
        Instant start = Instant.now().minus(Duration.ofSeconds(5));
        k.create(CreateStreamRequest.builder().streamName(stream).shardCount(1).build());
        awaitActive(k, stream);
        StreamDescription d = k.describe(DescribeStreamRequest.builder().streamName(stream).build()).streamDescription();
        step(kind + ": describe shows one shard and a creation time near now",
            d.shards().size() == 1 && d.streamCreationTimestamp().isAfter(start) && d.streamCreationTimestamp().isBefore(Instant.now().plusSeconds(5)));
        ResourceInUseException taken = refused(ResourceInUseException.class,
            () -> k.create(CreateStreamRequest.builder().streamName(stream).shardCount(1).build()));
        step(kind + ": a taken name is refused with a message", taken.statusCode() == 400 && taken.getMessage().contains("already exists"));
        refused(ResourceNotFoundException.class, () -> k.describe(DescribeStreamRequest.builder().streamName(stream + "-no").build()));
        step(kind + ": a missing stream is ResourceNotFoundException", true);

        PutRecordResponse one = k.put(PutRecordRequest.builder().streamName(stream).partitionKey("\u00e9\u2028").data(SdkBytes.fromByteArray(payload(1000))).build());
        List<PutRecordsRequestEntry> entries = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            entries.add(PutRecordsRequestEntry.builder().partitionKey("key-" + i).data(SdkBytes.fromByteArray(payload(i))).build());
        }
        PutRecordsResponse many = k.puts(PutRecordsRequest.builder().streamARN(d.streamARN()).records(entries).build());
        step(kind + ": 500 records put", many.failedRecordCount() == 0 && many.records().size() == 500 && many.encryptionType() == null);
        List<software.amazon.awssdk.services.kinesis.model.Record> got = read(k, stream, one.shardId(), start);
        boolean same = got.size() == 501 && got.get(0).sequenceNumber().equals(one.sequenceNumber())
            && got.get(0).partitionKey().equals("\u00e9\u2028") && got.get(0).data().equals(SdkBytes.fromByteArray(payload(1000)));
        for (int i = 0; same && i < 500; i++) {
            software.amazon.awssdk.services.kinesis.model.Record r = got.get(i + 1);
            same = r.partitionKey().equals("key-" + i) && r.data().equals(SdkBytes.fromByteArray(payload(i)))
                && r.sequenceNumber().equals(many.records().get(i).sequenceNumber())
                && r.approximateArrivalTimestamp().isAfter(start) && r.approximateArrivalTimestamp().isBefore(Instant.now().plusSeconds(5));
        }
        step(kind + ": read from a timestamp: every record, key, byte, number and time", same);
        refused(InvalidArgumentException.class, () -> k.get(GetRecordsRequest.builder().shardIterator("nonsense").build()));
        step(kind + ": a forged iterator is refused", true);

        k.split(SplitShardRequest.builder().streamName(stream).shardToSplit(one.shardId()).newStartingHashKey("170141183460469231731687303715884105728").build());
        awaitActive(k, stream);
        List<Shard> shards = k.shards(ListShardsRequest.builder().streamName(stream).build()).shards();
        step(kind + ": split leaves a closed parent and two children", shards.size() == 3
            && shards.get(0).sequenceNumberRange().endingSequenceNumber() != null && shards.get(1).parentShardId().equals(one.shardId()));
        step(kind + ": AT_LATEST lists the children only", k.shards(ListShardsRequest.builder().streamName(stream)
            .shardFilter(f -> f.type(ShardFilterType.AT_LATEST)).build()).shards().size() == 2);
        String it = k.iterator(GetShardIteratorRequest.builder().streamName(stream).shardId(one.shardId())
            .shardIteratorType(ShardIteratorType.AFTER_SEQUENCE_NUMBER).startingSequenceNumber(got.get(500).sequenceNumber()).build()).shardIterator();
        GetRecordsResponse end = k.get(GetRecordsRequest.builder().shardIterator(it).build());
        step(kind + ": the parent's end names its children", end.nextShardIterator() == null && end.childShards().size() == 2
            && end.childShards().get(0).parentShards().equals(List.of(one.shardId())));

        k.encrypt(StartStreamEncryptionRequest.builder().streamName(stream).encryptionType(EncryptionType.KMS).keyId("alias/aws/kinesis").build());
        awaitActive(k, stream);
        PutRecordResponse sealed = k.put(PutRecordRequest.builder().streamName(stream).partitionKey("k").data(SdkBytes.fromUtf8String("x")).build());
        step(kind + ": an encrypted stream says so in puts and reads", sealed.encryptionType() == EncryptionType.KMS
            && read(k, stream, sealed.shardId(), null).get(0).encryptionType() == EncryptionType.KMS);
        k.delete(DeleteStreamRequest.builder().streamName(stream).enforceConsumerDeletion(true).build());
        step(kind + ": deleted", true);
    }
}
