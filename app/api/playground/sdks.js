// CompareFace by the vendor's SDKs: a call in, a program out. The key comes from the environment, never from the page.
// call: { host, scheme, module, id, hasToken, pictures: [{ side: "A" | "B", url? }], options: [[name, value]] }

const text = JSON.stringify; // a text with its escapes is the same in all of the languages, but for PHP's $
const file = ({ side }) => `${side.toLowerCase()}.jpg`;

function lines(call, picture, option) {
  return [...call.pictures.map(picture), ...call.options.map(([name, value]) => option(name, text(value)))];
}

export const PYTHON = (call) => `# pip install tencentcloud-sdk-python-iai
import base64
import os
from pathlib import Path

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.${call.module} import iai_client, models

profile = ClientProfile(httpProfile=HttpProfile(protocol=${text(call.scheme)}, endpoint=${text(call.host)}))
key = credential.Credential(${text(call.id)}, os.environ.get("SECRET_KEY", "any-key")${call.hasToken ? ', os.environ["TOKEN"]' : ""})
client = iai_client.IaiClient(key, "", profile)

request = models.CompareFaceRequest()
${lines(
  call,
  (of) => of.url ? `request.Url${of.side} = ${text(of.url)}` : `request.Image${of.side} = base64.b64encode(Path("${file(of)}").read_bytes()).decode()`,
  (name, value) => `request.${name} = ${value}`,
).join("\n")}
print(client.CompareFace(request).Score)
`;

export const JAVA = (call) => `// com.tencentcloudapi:tencentcloud-sdk-java-iai of Maven Central
import com.tencentcloudapi.common.Credential;
import com.tencentcloudapi.common.profile.ClientProfile;
import com.tencentcloudapi.common.profile.HttpProfile;
import com.tencentcloudapi.iai.${call.module}.IaiClient;
import com.tencentcloudapi.iai.${call.module}.models.CompareFaceRequest;
import java.nio.file.*;
import java.util.Base64;

public class Compare {
    static String picture(String name) throws Exception {
        return Base64.getEncoder().encodeToString(Files.readAllBytes(Paths.get(name)));
    }

    public static void main(String[] args) throws Exception {
        HttpProfile http = new HttpProfile();
        http.setProtocol(HttpProfile.REQ_${call.scheme.toUpperCase()});
        http.setEndpoint(${text(call.host)});
        ClientProfile profile = new ClientProfile();
        profile.setHttpProfile(http);
        String key = System.getenv().getOrDefault("SECRET_KEY", "any-key");
        IaiClient client = new IaiClient(new Credential(${text(call.id)}, key${call.hasToken ? ', System.getenv("TOKEN")' : ""}), "", profile);
        CompareFaceRequest request = new CompareFaceRequest();
${lines(
  call,
  (of) => of.url ? `        request.setUrl${of.side}(${text(of.url)});` : `        request.setImage${of.side}(picture("${file(of)}"));`,
  (name, value) => `        request.set${name}(${value}${value.startsWith('"') ? "" : "L"});`,
).join("\n")}
        System.out.println(client.CompareFace(request).getScore());
    }
}
`;

export const GO = (call) => {
  const usesFiles = call.pictures.some((of) => !of.url);
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
func picture(name string) *string {
	data, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return common.StringPtr(base64.StdEncoding.EncodeToString(data))
}
` : ""}
func main() {
	p := profile.NewClientProfile()
	p.HttpProfile.Scheme, p.HttpProfile.Endpoint = ${text(call.scheme.toUpperCase())}, ${text(call.host)}
	key := os.Getenv("SECRET_KEY")
	if key == "" {
		key = "any-key"
	}
	client, err := iai.NewClient(common.${call.hasToken ? "NewTokenCredential" : "NewCredential"}(${text(call.id)}, key${call.hasToken ? ', os.Getenv("TOKEN")' : ""}), "", p)
	if err != nil {
		panic(err)
	}
	request := iai.NewCompareFaceRequest()
${lines(
  call,
  (of) => of.url ? `\trequest.Url${of.side} = common.StringPtr(${text(of.url)})` : `\trequest.Image${of.side} = picture("${file(of)}")`,
  (name, value) => `\trequest.${name} = common.${value.startsWith('"') ? "StringPtr" : "Uint64Ptr"}(${value})`,
).join("\n")}
	answer, err := client.CompareFace(request)
	if err != nil {
		panic(err)
	}
	fmt.Println(*answer.Response.Score)
}
`;
};

export const NODE = (call) => `// npm install tencentcloud-sdk-nodejs
const { readFileSync } = require("fs");
const { Client } = require("tencentcloud-sdk-nodejs").iai.${call.module};

const client = new Client({
  credential: { secretId: ${text(call.id)}, secretKey: process.env.SECRET_KEY || "any-key"${call.hasToken ? ", token: process.env.TOKEN" : ""} },
  region: "",
  profile: { httpProfile: { endpoint: ${text(call.host)}, protocol: "${call.scheme}://" } },
});
const picture = (name) => readFileSync(name).toString("base64");
const request = {
${lines(
  call,
  (of) => of.url ? `  Url${of.side}: ${text(of.url)},` : `  Image${of.side}: picture("${file(of)}"),`,
  (name, value) => `  ${name}: ${value},`,
).join("\n")}
};
client.CompareFace(request).then((answer) => console.log(answer.Score));
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
${lines(
  call,
  (of) => of.url ? `$request->setUrl${of.side}(${php(of.url)});` : `$request->setImage${of.side}(base64_encode(file_get_contents('${file(of)}')));`,
  (name, value) => `$request->set${name}(${value});`,
).join("\n")}
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
    HttpProfile = new HttpProfile { Protocol = "${call.scheme}://", Endpoint = ${text(call.host)} },
};
var key = Environment.GetEnvironmentVariable("SECRET_KEY") ?? "any-key";
var client = new IaiClient(new Credential { SecretId = ${text(call.id)}, SecretKey = key${call.hasToken ? ', Token = Environment.GetEnvironmentVariable("TOKEN")' : ""} }, "", profile);
var answer = client.CompareFaceSync(new CompareFaceRequest {
${lines(
  call,
  (of) => of.url ? `    Url${of.side} = ${text(of.url)},` : `    Image${of.side} = Convert.ToBase64String(File.ReadAllBytes("${file(of)}")),`,
  (name, value) => `    ${name} = ${value},`,
).join("\n")}
});
Console.WriteLine(answer.Score);
`;
};
