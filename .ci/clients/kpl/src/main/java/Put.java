import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;

/** Puts numbered records with the Kinesis Producer Library and waits for each result. Arguments: host port stream count. */
public final class Put {
    public static void main(String[] args) throws Exception {
        String host = args[0];
        long port = Long.parseLong(args[1]);
        String stream = args[2];
        int count = Integer.parseInt(args[3]);
        var credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));
        var config = new KinesisProducerConfiguration()
            .setRegion("us-east-1")
            .setKinesisEndpoint(host).setKinesisPort(port)
            .setCloudwatchEndpoint(host).setCloudwatchPort(port)
            .setStsEndpoint(host).setStsPort(port)
            .setVerifyCertificate(false)
            .setMetricsLevel("none")
            .setLogLevel("warning")
            .setRecordTtl(120_000)
            .setCredentialsProvider(credentials);
        KinesisProducer producer = new KinesisProducer(config);
        List<Future<UserRecordResult>> results = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            ByteBuffer data = ByteBuffer.wrap(("record " + i).getBytes(StandardCharsets.UTF_8));
            results.add(producer.addUserRecord(stream, "key-" + i % 1000, data));
        }
        Set<String> shards = new HashSet<>();
        int attempts = 0;
        for (Future<UserRecordResult> f : results) {
            UserRecordResult r = f.get(180, TimeUnit.SECONDS);
            if (!r.isSuccessful()) {
                System.err.println("a record failed: " + r.getAttempts());
                System.exit(1);
            }
            shards.add(r.getShardId());
            attempts = Math.max(attempts, r.getAttempts().size());
        }
        producer.flushSync();
        producer.destroy();
        System.out.println(results.size() + " records in " + shards.size() + " shards, at most " + attempts + " attempts");
        System.exit(0);
    }
}
