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

/** Conformance driver of the vendor's Java SDK: reads jobs from standard input and writes outcomes to standard output. */
public class Driver {
    static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    /** A call to make; the field names are those of the JSON document. */
    static class Job {
        String name, endpoint, secret_id, secret_key, authority, token, sign, method, language, version, action;
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

    /** The outcome of a job. */
    static class Outcome {
        String name;
        boolean ok;
        Float score;
        String face_model_version = "", request_id = "", code = "", message = "", exception = "", unsupported = "";
    }

    /** The fields of a successful response. */
    static class CompareFaceResult {
        Float Score;
        String FaceModelVersion, RequestId;
    }

    /** A successful response. */
    static class Body {
        CompareFaceResult Response;
    }

    /** The SDK cannot send the job. */
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
            CompareFaceResult result = null;
            for (int i = 0; i < job.times; i++) result = call(job);
            outcome.ok = true;
            outcome.score = result.Score;
            outcome.face_model_version = text(result.FaceModelVersion);
            outcome.request_id = text(result.RequestId);
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

    static CompareFaceResult call(Job job) throws Exception {
        if (job.isTyped() && !job.skip) return job.version.equals("2018-03-01") ? call2018(job) : call2020(job);
        if (job.attempts > 1) throw new Unsupported("the Java SDK retries only typed requests");
        CommonClient client = new CommonClient("iai", job.version, credential(job), "", profile(job));
        String response;
        if (job.isJsonPost() && !job.skip) {
            response = client.call(job.action, GSON.toJson(job.params));
        } else {
            AbstractModel request = request(job, CompareFaceRequest.class);
            request.setSkipSign(job.skip); // the typed methods would reset it
            response = client.commonRequest(request, job.action);
        }
        return GSON.fromJson(response, Body.class).Response;
    }

    static CompareFaceResult call2020(Job job) throws Exception {
        IaiClient client = new IaiClient(credential(job), "", profile(job));
        CompareFaceRequest request = request(job, CompareFaceRequest.class);
        return result(job.attempts > 1 ? client.retry(request, job.attempts - 1) : client.CompareFace(request));
    }

    static CompareFaceResult call2018(Job job) throws Exception {
        var client = new com.tencentcloudapi.iai.v20180301.IaiClient(credential(job), "", profile(job));
        var request = request(job, com.tencentcloudapi.iai.v20180301.models.CompareFaceRequest.class);
        return result(job.attempts > 1 ? client.retry(request, job.attempts - 1) : client.CompareFace(request));
    }

    /** Returns the request with its fields set; a parameter without a field is unsupported. */
    static <R extends AbstractModel> R request(Job job, Class<R> type) throws Unsupported {
        R request = AbstractModel.fromJsonString(GSON.toJson(job.params), type);
        JsonObject fields = GSON.fromJson(AbstractModel.toJsonString(request), JsonObject.class);
        for (String name : job.params.keySet()) {
            if (!job.params.get(name).equals(fields.get(name))) {
                throw new Unsupported("the CompareFaceRequest of this Java SDK has no " + name);
            }
        }
        return request;
    }

    static CompareFaceResult result(Object response) {
        return GSON.fromJson(AbstractModel.toJsonString((AbstractModel) response), CompareFaceResult.class);
    }

    static Credential credential(Job job) {
        if (job.token.isEmpty()) return new Credential(job.secret_id, job.secret_key);
        return new Credential(job.secret_id, job.secret_key, job.token);
    }

    static ClientProfile profile(Job job) {
        HttpProfile http = new HttpProfile();
        if (job.authority.isEmpty()) http.setProtocol(HttpProfile.REQ_HTTP);
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
