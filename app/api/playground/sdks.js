// Programs that call CompareFace with the vendor's SDKs. They read the SecretKey from the environment.
// call: { host, scheme, module, id, hasToken, images: [{ side: "A" | "B", url? }], options: [[name, value]] }

const literal = JSON.stringify; // a valid string literal in all of these languages, except for $ in PHP
const file = ({ side }) => `${side.toLowerCase()}.jpg`;

function assignments(call, imageLine, optionLine) {
  return [...call.images.map(imageLine), ...call.options.map(([name, value]) => optionLine(name, literal(value)))].join("\n");
}

export const PYTHON = (call) => `# pip install tencentcloud-sdk-python-iai
import base64
import os
from pathlib import Path

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.${call.module} import iai_client, models

profile = ClientProfile(httpProfile=HttpProfile(protocol=${literal(call.scheme)}, endpoint=${literal(call.host)}))
key = credential.Credential(${literal(call.id)}, os.environ.get("SECRET_KEY", "any-key")${call.hasToken ? ', os.environ["TOKEN"]' : ""})
client = iai_client.IaiClient(key, "", profile)

request = models.CompareFaceRequest()
${assignments(
  call,
  (image) => image.url ? `request.Url${image.side} = ${literal(image.url)}` : `request.Image${image.side} = base64.b64encode(Path("${file(image)}").read_bytes()).decode()`,
  (name, value) => `request.${name} = ${value}`,
)}
print(client.CompareFace(request).Score)
`;

export const JAVA = (call) => `// Maven Central: com.tencentcloudapi:tencentcloud-sdk-java-iai
import com.tencentcloudapi.common.Credential;
import com.tencentcloudapi.common.profile.ClientProfile;
import com.tencentcloudapi.common.profile.HttpProfile;
import com.tencentcloudapi.iai.${call.module}.IaiClient;
import com.tencentcloudapi.iai.${call.module}.models.CompareFaceRequest;
import java.nio.file.*;
import java.util.Base64;

public class Compare {
    static String base64(String name) throws Exception {
        return Base64.getEncoder().encodeToString(Files.readAllBytes(Paths.get(name)));
    }

    public static void main(String[] args) throws Exception {
        HttpProfile http = new HttpProfile();
        http.setProtocol(HttpProfile.REQ_${call.scheme.toUpperCase()});
        http.setEndpoint(${literal(call.host)});
        ClientProfile profile = new ClientProfile();
        profile.setHttpProfile(http);
        String key = System.getenv().getOrDefault("SECRET_KEY", "any-key");
        IaiClient client = new IaiClient(new Credential(${literal(call.id)}, key${call.hasToken ? ', System.getenv("TOKEN")' : ""}), "", profile);
        CompareFaceRequest request = new CompareFaceRequest();
${assignments(
  call,
  (image) => image.url ? `        request.setUrl${image.side}(${literal(image.url)});` : `        request.setImage${image.side}(base64("${file(image)}"));`,
  (name, value) => `        request.set${name}(${value}${value.startsWith('"') ? "" : "L"});`,
)}
        System.out.println(client.CompareFace(request).getScore());
    }
}
`;

export const GO = (call) => {
  const usesFiles = call.images.some((image) => !image.url);
  return `// go mod init compare && go get github.com/tencentcloud/tencentcloud-sdk-go@v1.0.162
package main

import (
${usesFiles ? '\t"encoding/base64"\n' : ""}	"fmt"
	"os"

	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"
	iai "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/iai/${call.module}"
)
${usesFiles ? `
func base64File(name string) *string {
	data, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return common.StringPtr(base64.StdEncoding.EncodeToString(data))
}
` : ""}
func main() {
	p := profile.NewClientProfile()
	p.HttpProfile.Scheme, p.HttpProfile.Endpoint = ${literal(call.scheme.toUpperCase())}, ${literal(call.host)}
	key := os.Getenv("SECRET_KEY")
	if key == "" {
		key = "any-key"
	}
	client, err := iai.NewClient(common.${call.hasToken ? "NewTokenCredential" : "NewCredential"}(${literal(call.id)}, key${call.hasToken ? ', os.Getenv("TOKEN")' : ""}), "", p)
	if err != nil {
		panic(err)
	}
	request := iai.NewCompareFaceRequest()
${assignments(
  call,
  (image) => image.url ? `\trequest.Url${image.side} = common.StringPtr(${literal(image.url)})` : `\trequest.Image${image.side} = base64File("${file(image)}")`,
  (name, value) => `\trequest.${name} = common.${value.startsWith('"') ? "StringPtr" : "Uint64Ptr"}(${value})`,
)}
	response, err := client.CompareFace(request)
	if err != nil {
		panic(err)
	}
	fmt.Println(*response.Response.Score)
}
`;
};

export const NODE = (call) => `// npm install tencentcloud-sdk-nodejs
const { readFileSync } = require("fs");
const { Client } = require("tencentcloud-sdk-nodejs").iai.${call.module};

const client = new Client({
  credential: { secretId: ${literal(call.id)}, secretKey: process.env.SECRET_KEY || "any-key"${call.hasToken ? ", token: process.env.TOKEN" : ""} },
  region: "",
  profile: { httpProfile: { endpoint: ${literal(call.host)}, protocol: "${call.scheme}://" } },
});
const base64 = (name) => readFileSync(name).toString("base64");
const request = {
${assignments(
  call,
  (image) => image.url ? `  Url${image.side}: ${literal(image.url)},` : `  Image${image.side}: base64("${file(image)}"),`,
  (name, value) => `  ${name}: ${value},`,
)}
};
client.CompareFace(request).then((response) => console.log(response.Score));
`;

export const PHP = (call) => {
  const php = (value) => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const namespace = call.module[0].toUpperCase() + call.module.slice(1);
  return `<?php // composer require tencentcloud/tencentcloud-sdk-php
require __DIR__ . '/vendor/autoload.php';

use TencentCloud\\Common\\Credential;
use TencentCloud\\Common\\Profile\\ClientProfile;
use TencentCloud\\Common\\Profile\\HttpProfile;
use TencentCloud\\Iai\\${namespace}\\IaiClient;
use TencentCloud\\Iai\\${namespace}\\Models\\CompareFaceRequest;

$http = new HttpProfile('${call.scheme}://', ${php(call.host)});
$profile = new ClientProfile();
$profile->setHttpProfile($http);
$key = new Credential(${php(call.id)}, getenv('SECRET_KEY') ?: 'any-key'${call.hasToken ? ", getenv('TOKEN')" : ""});
$client = new IaiClient($key, '', $profile);

$request = new CompareFaceRequest();
${assignments(
  call,
  (image) => image.url ? `$request->setUrl${image.side}(${php(image.url)});` : `$request->setImage${image.side}(base64_encode(file_get_contents('${file(image)}')));`,
  (name, value) => `$request->set${name}(${value});`,
)}
echo $client->CompareFace($request)->getScore(), PHP_EOL;
`;
};

export const CSHARP = (call) => {
  const namespace = call.module[0].toUpperCase() + call.module.slice(1);
  return `// dotnet add package TencentCloudSDK
using System;
using System.IO;
using TencentCloud.Common;
using TencentCloud.Common.Profile;
using TencentCloud.Iai.${namespace};
using TencentCloud.Iai.${namespace}.Models;

var profile = new ClientProfile {
    HttpProfile = new HttpProfile { Protocol = "${call.scheme}://", Endpoint = ${literal(call.host)} },
};
var key = Environment.GetEnvironmentVariable("SECRET_KEY") ?? "any-key";
var client = new IaiClient(new Credential { SecretId = ${literal(call.id)}, SecretKey = key${call.hasToken ? ', Token = Environment.GetEnvironmentVariable("TOKEN")' : ""} }, "", profile);
var response = client.CompareFaceSync(new CompareFaceRequest {
${assignments(
  call,
  (image) => image.url ? `    Url${image.side} = ${literal(image.url)},` : `    Image${image.side} = Convert.ToBase64String(File.ReadAllBytes("${file(image)}")),`,
  (name, value) => `    ${name} = ${value},`,
)}
});
Console.WriteLine(response.Score);
`;
};
