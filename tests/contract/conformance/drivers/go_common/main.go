// Calls through the Go SDK's current common module, with a CompareFace request as its generator would write it.
package main

import (
	"encoding/json"

	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	tchttp "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/http"
)

type compareFaceRequest struct {
	*tchttp.BaseRequest

	ImageA               *string `json:"ImageA,omitnil,omitempty" name:"ImageA"`
	ImageB               *string `json:"ImageB,omitnil,omitempty" name:"ImageB"`
	UrlA                 *string `json:"UrlA,omitnil,omitempty" name:"UrlA"`
	UrlB                 *string `json:"UrlB,omitnil,omitempty" name:"UrlB"`
	FaceModelVersion     *string `json:"FaceModelVersion,omitnil,omitempty" name:"FaceModelVersion"`
	QualityControl       *int64  `json:"QualityControl,omitnil,omitempty" name:"QualityControl"`
	NeedRotateDetection  *int64  `json:"NeedRotateDetection,omitnil,omitempty" name:"NeedRotateDetection"`
	FaceMatchingStrategy *int64  `json:"FaceMatchingStrategy,omitnil,omitempty" name:"FaceMatchingStrategy"`
}

type compareFaceResponse struct {
	*tchttp.BaseResponse
	Response *compareFaceResult `json:"Response"`
}

func call(j job) (*compareFaceResult, error) {
	p := j.profile()
	p.RateLimitExceededMaxRetries = j.Attempts - 1
	client := common.NewCommonClient(j.credential(), "", p)
	request, err := newRequest(j)
	if err != nil {
		return nil, err
	}
	request.SetSkipSign(j.Skip)
	if j.Untyped {
		return sendUntyped(client, request)
	}
	response := &compareFaceResponse{BaseResponse: &tchttp.BaseResponse{}}
	if err := client.Send(request, response); err != nil {
		return nil, err
	}
	return response.Response, nil
}

func newRequest(j job) (tchttp.Request, error) {
	if j.Untyped {
		if j.Method == "GET" || j.Sign != "TC3-HMAC-SHA256" {
			return nil, unsupported("the Go SDK's common request has parameters only as JSON")
		}
		request := tchttp.NewCommonRequest("iai", j.Version, j.Action)
		return request, request.SetActionParameters([]byte(j.Params))
	}
	request := &compareFaceRequest{BaseRequest: &tchttp.BaseRequest{}}
	request.Init().WithApiInfo("iai", j.Version, j.Action)
	return request, fill(request, j.Params)
}

func sendUntyped(client *common.Client, request tchttp.Request) (*compareFaceResult, error) {
	response := tchttp.NewCommonResponse()
	if err := client.Send(request, response); err != nil {
		return nil, err
	}
	var body struct{ Response *compareFaceResult }
	err := json.Unmarshal(response.GetBody(), &body)
	return body.Response, err
}
