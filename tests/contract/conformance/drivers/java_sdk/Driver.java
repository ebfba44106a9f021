import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.tencentcloudapi.common.AbstractModel;
import com.tencentcloudapi.common.CommonClient;
import com.tencentcloudapi.common.Credential;
import com.tencentcloudapi.common.exception.TencentCloudSDKException;
import com.tencentcloudapi.common.profile.ClientProfile;
import com.tencentcloudapi.common.profile.HttpProfile;
import com.tencentcloudapi.common.profile.Language;
import com.tencentcloudapi.iai.v20200303.IaiClient;
import com.tencentcloudapi.iai.v20200303.models.CompareFaceRequest;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Conformance driver of the vendor's Java SDK: jobs on standard input, outcomes on standard output. */
public class Driver {
    static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    /** A call, in the names of the driver protocol. */
    static class Job {
        String name, endpoint, secret_id, secret_key, token, sign, method, language, version, action;
        boolean unsigned, skip, untyped;
        JsonObject params;
        int times, attempts;

        boolean isTyped() {
            return !untyped && action.equals("CompareFace");
        }

        boolean isJsonPost() {
            return sign.equals(ClientProfile.SIGN_TC3_256) && method.equals(HttpProfile.REQ_POST);
        }
    }

    /** What came of it. */
    static class Outcome {
        String name;
        boolean ok;
        Float score;
        String face_model_version = "", request_id = "", code = "", message = "", exception = "", unsupported = "";
    }

    /** The members of a successful reply. */
    static class Answer {
        Float Score;
        String FaceModelVersion, RequestId;
    }

    /** The whole of a successful reply. */
    static class Body {
        Answer Response;
    }

    /** The SDK cannot send such a job. */
    static class Unsupported extends Exception {
        Unsupported(String reason) {
            super(reason);
        }
    }

    public static void main(String[] args) {
        Job[] jobs = GSON.fromJson(new InputStreamReader(System.in, StandardCharsets.UTF_8), Job[].class);
        List<Outcome> outcomes = new ArrayList<>();
        for (Job job : jobs) outcomes.add(run(job));
        System.out.writeBytes(GSON.toJson(outcomes).getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    static Outcome run(Job job) {
        Outcome outcome = new Outcome();
        outcome.name = job.name;
        try {
            Answer answer = null;
            for (int i = 0; i < job.times; i++) answer = call(job);
            outcome.ok = true;
            outcome.score = answer.Score;
            outcome.face_model_version = text(answer.FaceModelVersion);
            outcome.request_id = text(answer.RequestId);
        } catch (Unsupported reason) {
            outcome.unsupported = reason.getMessage();
        } catch (Exception error) {
            outcome.exception = error.getClass().getSimpleName();
            outcome.message = text(error.getMessage());
            if (error instanceof TencentCloudSDKException) {
                outcome.code = text(((TencentCloudSDKException) error).getErrorCode());
                outcome.request_id = text(((TencentCloudSDKException) error).getRequestId());
            }
        }
        return outcome;
    }

    static Answer call(Job job) throws Exception {
        if (job.isTyped() && !job.skip) return job.version.equals("2018-03-01") ? call2018(job) : call2020(job);
        if (job.attempts > 1) throw new Unsupported("the Java SDK retries only typed requests");
        CommonClient client = new CommonClient("iai", job.version, credential(job), "", profile(job));
        String reply;
        if (job.isJsonPost() && !job.skip) {
            reply = client.call(job.action, GSON.toJson(job.params));
        } else {
            AbstractModel request = request(job, CompareFaceRequest.class);
            request.setSkipSign(job.skip); // the typed methods would switch it off again
            reply = client.commonRequest(request, job.action);
        }
        return GSON.fromJson(reply, Body.class).Response;
    }

    static Answer call2020(Job job) throws Exception {
        IaiClient client = new IaiClient(credential(job), "", profile(job));
        CompareFaceRequest request = request(job, CompareFaceRequest.class);
        return answer(job.attempts > 1 ? client.retry(request, job.attempts - 1) : client.CompareFace(request));
    }

    static Answer call2018(Job job) throws Exception {
        var client = new com.tencentcloudapi.iai.v20180301.IaiClient(credential(job), "", profile(job));
        var request = request(job, com.tencentcloudapi.iai.v20180301.models.CompareFaceRequest.class);
        return answer(job.attempts > 1 ? client.retry(request, job.attempts - 1) : client.CompareFace(request));
    }

    /** The request with its fields set; a parameter that its fields do not hold cannot be sent. */
    static <R extends AbstractModel> R request(Job job, Class<R> type) throws Unsupported {
        R request = AbstractModel.fromJsonString(GSON.toJson(job.params), type);
        JsonObject held = GSON.fromJson(AbstractModel.toJsonString(request), JsonObject.class);
        for (String name : job.params.keySet()) {
            if (!job.params.get(name).equals(held.get(name))) {
                throw new Unsupported("this Java SDK's CompareFaceRequest does not hold such a " + name);
            }
        }
        return request;
    }

    static Answer answer(Object response) {
        return GSON.fromJson(AbstractModel.toJsonString((AbstractModel) response), Answer.class);
    }

    static Credential credential(Job job) {
        if (job.token.isEmpty()) return new Credential(job.secret_id, job.secret_key);
        return new Credential(job.secret_id, job.secret_key, job.token);
    }

    static ClientProfile profile(Job job) {
        HttpProfile http = new HttpProfile();
        http.setProtocol(HttpProfile.REQ_HTTP);
        http.setEndpoint(job.endpoint);
        http.setReqMethod(job.method);
        ClientProfile profile = new ClientProfile(job.sign, http);
        profile.setUnsignedPayload(job.unsigned);
        if (job.language.equals("zh-CN")) profile.setLanguage(Language.ZH_CN);
        if (job.language.equals("en-US")) profile.setLanguage(Language.EN_US);
        return profile;
    }

    static String text(String value) {
        return value == null ? "" : value;
    }
}
