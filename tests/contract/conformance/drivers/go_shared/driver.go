// Conformance driver of a Go SDK: reads jobs from standard input and writes outcomes to standard output.
//
// It is compiled with the main.go of go_sdk or go_common, which makes the calls.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	tcerrors "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/errors"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"
)

type job struct {
	Name      string          `json:"name"`
	Endpoint  string          `json:"endpoint"`
	SecretId  string          `json:"secret_id"`
	SecretKey string          `json:"secret_key"`
	Authority string          `json:"authority"`
	Token     string          `json:"token"`
	Sign      string          `json:"sign"`
	Method    string          `json:"method"`
	Unsigned  bool            `json:"unsigned"`
	Skip      bool            `json:"skip"`
	Language  string          `json:"language"`
	Version   string          `json:"version"`
	Action    string          `json:"action"`
	Params    json.RawMessage `json:"params"`
	Untyped   bool            `json:"untyped"`
	Times     int             `json:"times"`
	Attempts  int             `json:"attempts"`
}

type outcome struct {
	Name             string   `json:"name"`
	Ok               bool     `json:"ok"`
	Score            *float64 `json:"score"`
	FaceModelVersion string   `json:"face_model_version"`
	RequestId        string   `json:"request_id"`
	Code             string   `json:"code"`
	Message          string   `json:"message"`
	Exception        string   `json:"exception"`
	Unsupported      string   `json:"unsupported"`
}

// compareFaceResult is the result of CompareFace, with the vendor's names.
type compareFaceResult struct {
	Score            *float64
	FaceModelVersion *string
	RequestId        *string
}

// unsupported is the reason why this SDK cannot send a job.
type unsupported string

func (reason unsupported) Error() string { return string(reason) }

func (j job) credential() *common.Credential {
	if j.Token != "" {
		return common.NewTokenCredential(j.SecretId, j.SecretKey, j.Token)
	}
	return common.NewCredential(j.SecretId, j.SecretKey)
}

func (j job) profile() *profile.ClientProfile {
	p := profile.NewClientProfile()
	p.HttpProfile.Endpoint, p.HttpProfile.ReqMethod = j.Endpoint, j.Method
	if j.Authority == "" {
		p.HttpProfile.Scheme = "HTTP"
	}
	p.SignMethod, p.UnsignedPayload = j.Sign, j.Unsigned
	if j.Language != "" {
		p.Language = j.Language
	}
	return p
}

// fill sets the fields of the request; a parameter without a field is unsupported.
func fill(request any, params json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(params))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(request); err != nil {
		return unsupported("the request class lacks a field: " + err.Error())
	}
	return nil
}

func run(j job) outcome {
	result := outcome{Name: j.Name}
	var last *compareFaceResult
	for i := 0; i < j.Times; i++ {
		var err error
		if last, err = call(j); err != nil {
			return result.failed(err)
		}
	}
	result.Ok, result.Score = true, last.Score
	result.FaceModelVersion, result.RequestId = text(last.FaceModelVersion), text(last.RequestId)
	return result
}

func (o outcome) failed(err error) outcome {
	var reason unsupported
	var sdk *tcerrors.TencentCloudSDKError
	switch {
	case errors.As(err, &reason):
		o.Unsupported = string(reason)
	case errors.As(err, &sdk):
		o.Exception, o.Code, o.Message, o.RequestId = "TencentCloudSDKError", sdk.Code, sdk.Message, sdk.RequestId
	default:
		o.Exception, o.Message = fmt.Sprintf("%T", err), err.Error()
	}
	return o
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

func main() {
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		panic(err)
	}
	outcomes := []outcome{}
	for _, j := range jobs {
		outcomes = append(outcomes, run(j))
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		panic(err)
	}
}
