#!/bin/sh
# Makes all files of this folder anew: a key that everybody may know, and certificates that are good, or bad in one way each.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
: >"$work/index"
cat >"$work/ca.cnf" <<'END'
[ca]
default_ca = here
[here]
new_certs_dir = $ENV::WORK
database = $ENV::WORK/index
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
END
export WORK="$work"
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem 2>/dev/null ||
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem

sign() { # name, subject, SAN, from, to, by itself or by the authority
    openssl req -new -config "$work/ca.cnf" -key key.pem -subj "/CN=$2" -out "$work/$1.csr"
    printf '%s\n' "$3" >"$work/$1.ext"
    if [ "$6" = itself ]; then set -- "$@" -selfsign; else set -- "$@" -cert authority.pem; fi
    name=$1 from=$4 to=$5
    shift 6
    openssl ca -batch -notext -config "$work/ca.cnf" -keyfile key.pem -in "$work/$name.csr" -extfile "$work/$name.ext" \
        -startdate "$from" -enddate "$to" -out "$name.pem" "$@" 2>/dev/null
}

long="20200101000000Z 21200101000000Z"
here="subjectAltName = IP:127.0.0.1, DNS:localhost"
sign authority "nemod test authority" "basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, digitalSignature" $long itself
sign good "nemod test" "$here" $long authority
sign expired "nemod test" "$here" 20200101000000Z 20200201000000Z authority
sign early "nemod test" "$here" 21190101000000Z 21200101000000Z authority
sign other "nemod test" "subjectAltName = DNS:cloud.example" $long authority
sign itself "nemod test" "$here" $long itself
