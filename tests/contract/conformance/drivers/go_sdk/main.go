// Calls through the complete Go SDK and its generated iai classes.
package main

import (
	v20180301 "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/iai/v20180301"
	v20200303 "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/iai/v20200303"
)

func call(j job) (*compareFaceResult, error) {
	switch {
	case j.Untyped:
		return nil, unsupported("this Go SDK has no common request")
	case j.Skip:
		return nil, unsupported("this Go SDK always signs")
	case j.Attempts > 1:
		return nil, unsupported("this Go SDK does not retry")
	case j.Version == "2018-03-01":
		return call2018(j)
	}
	client, err := v20200303.NewClient(j.credential(), "", j.profile())
	if err != nil {
		return nil, err
	}
	request := v20200303.NewCompareFaceRequest()
	if err := fill(request, j.Params); err != nil {
		return nil, err
	}
	request.WithApiInfo("iai", j.Version, j.Action)
	response, err := client.CompareFace(request)
	if err != nil {
		return nil, err
	}
	return &compareFaceResult{response.Response.Score, response.Response.FaceModelVersion, response.Response.RequestId}, nil
}

func call2018(j job) (*compareFaceResult, error) {
	client, err := v20180301.NewClient(j.credential(), "", j.profile())
	if err != nil {
		return nil, err
	}
	request := v20180301.NewCompareFaceRequest()
	if err := fill(request, j.Params); err != nil {
		return nil, err
	}
	request.WithApiInfo("iai", j.Version, j.Action)
	response, err := client.CompareFace(request)
	if err != nil {
		return nil, err
	}
	return &compareFaceResult{response.Response.Score, response.Response.FaceModelVersion, response.Response.RequestId}, nil
}
