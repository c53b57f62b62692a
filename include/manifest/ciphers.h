/* SPDX-License-Identifier: MIT */
/*
 * The cipher suites of TLS 1.2 that every proxy driver can be told to use, by their two names.
 * Those of TLS 1.3 are all good, and cannot be chosen in caddy.
 */
#pragma once

/* X(name of RFC 8446 and IANA, name of OpenSSL) */
#define TLS_CIPHERS(X)                                                                             \
	X("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256")              \
	X("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256")                  \
	X("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384")              \
	X("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384")                  \
	X("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305")        \
	X("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305")            \
	X("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA")                        \
	X("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA")                            \
	X("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA")                        \
	X("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA")

struct tls_cipher {
	const char *iana, *openssl;
};
/* A format of the schema: NULL, or what is wrong. */
const char *tls_cipher_check(const char *name);
/* By either name; NULL: there is none. */
const struct tls_cipher *tls_cipher_find(const char *name);
