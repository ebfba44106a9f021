#!/bin/bash
# Signs and sends one request with openssl and curl, as the vendor's documentation describes.
#
# Environment: ENDPOINT, SECRET_ID, SECRET_KEY, TOKEN, SIGN, METHOD, SIGNED_LANGUAGE, VERSION, ACTION.
# Argument: a folder with body.json (for TC3-HMAC-SHA256) and one file per parameter in params/ (for the older
# signatures).
set -euo pipefail
timestamp=$(date +%s)

hmac() { # hmac KEY: sign standard input, in hexadecimal
    openssl dgst -sha256 -mac HMAC -macopt "$1" | sed 's/^.* //'
}

tc3() { # "Signature method v3": three signed headers, in lower case
    local content_type="application/json; charset=utf-8" signed_headers="content-type;host;x-tc-action"
    local date scope canonical key authorization
    date=$(date -u -d "@$timestamp" +%Y-%m-%d)
    scope="$date/iai/tc3_request"
    canonical=$(printf 'POST\n/\n\ncontent-type:%s\nhost:%s\nx-tc-action:%s\n\n%s\n%s' "$content_type" "$ENDPOINT" \
        "${ACTION,,}" "$signed_headers" "$(sha256sum <"$1/body.json" | cut -d ' ' -f 1)")
    key=$(printf %s "$date" | hmac "key:TC3$SECRET_KEY")
    key=$(printf iai | hmac "hexkey:$key")
    key=$(printf tc3_request | hmac "hexkey:$key")
    signature=$(printf 'TC3-HMAC-SHA256\n%s\n%s\n%s' "$timestamp" "$scope" \
        "$(printf %s "$canonical" | sha256sum | cut -d ' ' -f 1)" | hmac "hexkey:$key")
    authorization="TC3-HMAC-SHA256 Credential=$SECRET_ID/$scope, SignedHeaders=$signed_headers, Signature=$signature"
    curl --silent --show-error --noproxy '*' "http://$ENDPOINT/" --data-binary "@$1/body.json" \
        --header "Authorization: $authorization" --header "Content-Type: $content_type" --header "Host: $ENDPOINT" \
        --header "X-TC-Action: $ACTION" --header "X-TC-Version: $VERSION" --header "X-TC-Timestamp: $timestamp" \
        ${SIGNED_LANGUAGE:+--header "X-TC-Language: $SIGNED_LANGUAGE"} ${TOKEN:+--header "X-TC-Token: $TOKEN"}
}

v1() { # "Signature method v1": parameters in ASCII order, values not encoded
    local digest=${SIGN#Hmac} name source="" encoded=()
    cd "$1/params"
    put() { [ -z "$2" ] || printf %s "$2" >"$1"; }
    put Action "$ACTION"
    put Language "$SIGNED_LANGUAGE"
    put Nonce "$((RANDOM + 1))"
    put SecretId "$SECRET_ID"
    put SignatureMethod "$SIGN"
    put Timestamp "$timestamp"
    put Token "$TOKEN"
    put Version "$VERSION"
    for name in $(printf '%s\n' * | LC_ALL=C sort); do
        source+="&$name=$(<"$name")"
        encoded+=(--data-urlencode "$name@$name")
    done
    printf %s "$METHOD$ENDPOINT/?${source#&}" | openssl dgst "-${digest,,}" -hmac "$SECRET_KEY" -binary | base64 >Signature
    encoded+=(--data-urlencode "Signature=$(<Signature)")
    [ "$METHOD" = POST ] || encoded+=(--get)
    curl --silent --show-error --noproxy '*' "http://$ENDPOINT/" "${encoded[@]}"
}

case $SIGN in TC3-*) tc3 "$1" ;; *) v1 "$1" ;; esac
