/* SPDX-License-Identifier: MIT */
#include "manifest/ciphers.h"

#include "util/str.h"

#include <stddef.h>

const struct tls_cipher *tls_cipher_find(const char *name)
{
#define ENTRY(iana, openssl) {iana, openssl},
	static const struct tls_cipher ciphers[] = {TLS_CIPHERS(ENTRY)};
#undef ENTRY
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
		if (str_eq(ciphers[i].iana, name) || str_eq(ciphers[i].openssl, name)) {
			return &ciphers[i];
		}
	}
	return NULL;
}

const char *tls_cipher_check(const char *name)
{
	if (tls_cipher_find(name)) {
		return NULL;
	}
	return str_starts(name, "TLS_AES_") || str_starts(name, "TLS_CHACHA20_")
		       ? "is of TLS 1.3, whose suites cannot be chosen"
		       : "is not one with forward secrecy that every proxy has";
}
