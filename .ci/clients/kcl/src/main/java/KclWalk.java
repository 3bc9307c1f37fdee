import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

import software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * Two workers of the Kinesis Client Library share a stream of four shards: records are put, consumed and checkpointed, one
 * shard is split on the way and its children are followed. Nothing but the endpoint and keys in the environment is needed.
 * usage: KclWalk ENDPOINT polling|fanout
 */
public final class KclWalk {
    static final int RECORDS = 2000;
    static final Set<String> seen = ConcurrentHashMap.newKeySet();
    static final AtomicInteger delivered = new AtomicInteger();
    static final Set<String> ended = ConcurrentHashMap.newKeySet();
    static final Set<String> problems = ConcurrentHashMap.newKeySet();
    /** The shards that each worker has begun to read. */
    static final Map<String, Set<String>> begun = new ConcurrentHashMap<>();

    static final class Processor implements ShardRecordProcessor {
        final String worker;
        String shard;

        Processor(String worker) {
            this.worker = worker;
        }

        @Override
        public void initialize(InitializationInput in) {
            shard = in.shardId();
            begun.computeIfAbsent(worker, w -> ConcurrentHashMap.newKeySet()).add(shard);
        }

        @Override
        public void processRecords(ProcessRecordsInput in) {
            for (KinesisClientRecord r : in.records()) {
                seen.add(StandardCharsets.UTF_8.decode(r.data().duplicate()).toString());
                delivered.incrementAndGet();
            }
            if (!in.records().isEmpty()) {
                checkpoint(() -> in.checkpointer().checkpoint());
            }
        }

        @Override
        public void leaseLost(LeaseLostInput in) {
        }

        @Override
        public void shardEnded(ShardEndedInput in) {
            checkpoint(() -> in.checkpointer().checkpoint());
            ended.add(shard);
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput in) {
            checkpoint(() -> in.checkpointer().checkpoint());
        }

        interface Step {
            void run() throws Exception;
        }

        void checkpoint(Step step) {
            try {
                step.run();
            } catch (software.amazon.kinesis.exceptions.ShutdownException e) {
                // The lease moved to the other worker, which reads these records again.
            } catch (Exception e) {
                problems.add("checkpoint of " + shard + ": " + e);
            }
        }
    }

    final KinesisAsyncClient kinesis;
    final DynamoDbAsyncClient dynamo;
    final CloudWatchAsyncClient cloudwatch;
    final boolean fanout;
    final String stream;
    final String app;

    KclWalk(URI endpoint, boolean fanout) {
        this.fanout = fanout;
        stream = "kcl-" + (fanout ? "fanout" : "polling");
        app = stream + "-app";
        EnvironmentVariableCredentialsProvider keys = EnvironmentVariableCredentialsProvider.create();
        kinesis = KinesisClientUtil.createKinesisAsyncClient(
            KinesisAsyncClient.builder().endpointOverride(endpoint).region(Region.US_EAST_1).credentialsProvider(keys));
        dynamo = DynamoDbAsyncClient.builder().endpointOverride(endpoint).region(Region.US_EAST_1).credentialsProvider(keys).build();
        cloudwatch = CloudWatchAsyncClient.builder().endpointOverride(endpoint).region(Region.US_EAST_1).credentialsProvider(keys).build();
    }

    Scheduler worker(String name) {
        ConfigsBuilder c = new ConfigsBuilder(new SingleStreamTracker(stream,
            InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON)),
            app, kinesis, dynamo, cloudwatch, name, () -> new Processor(name));
        var leases = c.leaseManagementConfig().failoverTimeMillis(5000).shardSyncIntervalMillis(2000);
        leases.workerUtilizationAwareAssignmentConfig().inMemoryWorkerMetricsCaptureFrequencyMillis(1000);
        leases.workerUtilizationAwareAssignmentConfig().workerMetricsReporterFreqInMillis(2000);
        leases.gracefulLeaseHandoffConfig().isGracefulLeaseHandoffEnabled(true);
        var coordinator = c.coordinatorConfig().parentShardPollIntervalMillis(1000).shardConsumerDispatchPollIntervalMillis(200);
        var retrieval = c.retrievalConfig();
        if (!fanout) {
            retrieval = retrieval.retrievalSpecificConfig(new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(250));
        }
        return new Scheduler(c.checkpointConfig(), coordinator, leases, c.lifecycleConfig(),
            c.metricsConfig().metricsBufferTimeMillis(1000), c.processorConfig(), retrieval);
    }

    void start(Map<String, Scheduler> workers, String name) {
        Scheduler s = worker(name);
        workers.put(name, s);
        Thread t = new Thread(s, name);
        t.setDaemon(true);
        t.start();
    }

    void put(int from, int to) throws Exception {
        for (int at = from; at < to; at += 250) {
            List<PutRecordsRequestEntry> batch = new ArrayList<>();
            for (int i = at; i < Math.min(at + 250, to); i++) {
                batch.add(PutRecordsRequestEntry.builder().partitionKey(UUID.randomUUID().toString())
                    .data(SdkBytes.fromByteBuffer(ByteBuffer.wrap(("record-" + i).getBytes(StandardCharsets.UTF_8)))).build());
            }
            PutRecordsResponse r = kinesis.putRecords(b -> b.streamName(stream).records(batch)).get();
            check(r.failedRecordCount() == 0, "records failed: " + r);
        }
    }

    static void check(boolean ok, String why) {
        if (!ok) {
            throw new IllegalStateException(why);
        }
    }

    static void await(String what, int seconds, BooleanSupplier done) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (!done.getAsBoolean()) {
            check(System.nanoTime() < end, "waited " + seconds + " s for " + what + "; records " + seen.size() + ", shards " + begun
                + ", ended " + ended + ", problems " + problems);
            Thread.sleep(100);
        }
    }

    List<Map<String, AttributeValue>> leases() {
        List<Map<String, AttributeValue>> all = new ArrayList<>();
        for (Map<String, AttributeValue> item : dynamo.scan(b -> b.tableName(app).consistentRead(true)).join().items()) {
            if (item.containsKey("leaseCounter")) {
                all.add(item);
            }
        }
        return all;
    }

    /** How many leases of shards that are not read to their end each worker holds. */
    Map<String, Integer> held() {
        Map<String, Integer> counts = new TreeMap<>();
        for (Map<String, AttributeValue> lease : leases()) {
            AttributeValue owner = lease.get("leaseOwner");
            if (owner != null && !lease.get("checkpoint").s().equals("SHARD_END")) {
                counts.merge(owner.s(), 1, Integer::sum);
            }
        }
        return counts;
    }

    void run() throws Exception {
        long begin = System.nanoTime();
        kinesis.createStream(b -> b.streamName(stream).shardCount(4)).get();
        await("the stream", 20, () -> kinesis.describeStreamSummary(b -> b.streamName(stream)).join()
            .streamDescriptionSummary().streamStatusAsString().equals("ACTIVE"));
        put(0, RECORDS / 2);
        Map<String, Scheduler> workers = new HashMap<>();
        start(workers, "worker-1");
        await("the first half", 120, () -> seen.size() == RECORDS / 2);
        System.out.printf("%s: first %d records after %.1f s%n", stream, seen.size(), seconds(begin));
        start(workers, "worker-2");
        await("both workers to hold leases", 180, () -> held().size() == 2);
        System.out.printf("%s: leases balanced %s after %.1f s%n", stream, held(), seconds(begin));
        Shard first = kinesis.listShards(b -> b.streamName(stream)).get().shards().get(0);
        java.math.BigInteger low = new java.math.BigInteger(first.hashKeyRange().startingHashKey());
        java.math.BigInteger high = new java.math.BigInteger(first.hashKeyRange().endingHashKey());
        kinesis.splitShard(b -> b.streamName(stream).shardToSplit(first.shardId())
            .newStartingHashKey(low.add(high).shiftRight(1).toString())).get();
        await("the split", 20, () -> kinesis.listShards(b -> b.streamName(stream)).join().shards().size() == 6);
        put(RECORDS / 2, RECORDS);
        await("all records", 120, () -> seen.size() == RECORDS);
        await("the end of the split shard", 120, () -> ended.contains(first.shardId()));
        await("checkpoints of the children", 120, () -> leases().stream().filter(l -> l.containsKey("parentShardId")
            && l.get("parentShardId").ss().contains(first.shardId()) && Character.isDigit(l.get("checkpoint").s().charAt(0))).count() == 2);
        System.out.printf("%s: all %d records (%d delivered) after %.1f s; shards %s; leases %s%n", stream, seen.size(), delivered.get(),
            seconds(begin), begun, held());
        for (Scheduler s : workers.values()) {
            s.startGracefulShutdown().get(60, TimeUnit.SECONDS);
        }
        check(problems.isEmpty(), "problems: " + problems);
        System.out.printf("%s: ok in %.1f s%n", stream, seconds(begin));
    }

    static double seconds(long begin) {
        return (System.nanoTime() - begin) / 1e9;
    }

    public static void main(String[] args) throws Exception {
        int code = 0;
        try {
            new KclWalk(URI.create(args[0]), args[1].equals("fanout")).run();
        } catch (Throwable e) {
            e.printStackTrace();
            code = 1;
        }
        System.exit(code);
    }
}
