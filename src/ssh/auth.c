/* SPDX-License-Identifier: MIT */
/*
 * Login by public key: agent first, then files.
 *
 * Signing goes through a callback of ours for the agent's keys and for RSA, because libssh2 before
 * 1.11 knows RSA with SHA-1 only, which servers have refused since OpenSSH 8.8.  Its packet takes
 * the algorithm's name from the first string of the key's blob; with "rsa-sha2-512" put there, the
 * request is what RFC 8332 asks for but for that name inside the blob, which OpenSSH reads as RSA.
 */
#include "connect.h"
#include "keys.h"
#include "wire.h"

#include "util/clock.h"
#include "util/fs.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OFFERS       12 /* sshd's MaxAuthTries is 6; more only lengthens the wait */
#define PASSPHRASE_TRIES 3
#define LIBSSH2_RSA_SHA2 0x010b00 /* the first version that does it itself */

/* A key that is offered, and who signs. */
struct offer {
	struct login *login;
	struct str blob; /* as sent */
	const struct str *original;
	struct ssh_agent *agent;   /* or */
	const struct ssh_rsa *rsa; /* or neither: libssh2 signs with */
	const struct secret *text;
	const struct secret *passphrase;
	struct error error; /* of the signer */
};

/* The algorithm's name out of what is to be signed (RFC 4252, 7). */
static char *signed_algorithm(const void *data, size_t len)
{
	struct wire w = wire_reader(data, len);
	size_t n;

	(void)wire_string(&w, &n); /* session */
	(void)wire_u8(&w);         /* SSH_MSG_USERAUTH_REQUEST */
	(void)wire_string(&w, &n); /* user */
	(void)wire_string(&w, &n); /* service */
	(void)wire_string(&w, &n); /* "publickey" */
	(void)wire_u8(&w);
	return wire_text(&w);
}

static LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(sign)
{
	struct offer *o = *abstract;
	CLEANUP_STR struct str signature = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *algorithm = signed_algorithm(data, data_len);
	int64_t begin = clock_mono_ms();
	int rc;

	if (o->agent != NULL) {
		rc = ssh_agent_sign(
			o->agent, o->original, algorithm, data, data_len, &signature, &o->error);
	} else {
		rc = ssh_rsa_sign(o->rsa, algorithm, data, data_len, &signature);
	}
	o->login->deadline += clock_mono_ms() - begin; /* a person may have had to confirm */
	if (rc < 0) {
		return -1;
	}
	/* libssh2 frees it with the session's allocator, which counts. */
	*sig = ssh_link_alloc(o->login->link, signature.len);
	if (*sig == NULL) {
		return -1;
	}
	memcpy(*sig, signature.p, signature.len);
	*sig_len = signature.len;
	(void)session;
	return 0;
}

static int request(struct offer *o, void **abstract)
{
	struct login *l = o->login;
	const char *user = l->target->user;

	if (o->agent != NULL || o->rsa != NULL) {
		return libssh2_userauth_publickey(
			l->ls, user, (const unsigned char *)o->blob.p, o->blob.len, sign, abstract);
	}
	return libssh2_userauth_publickey_frommemory(l->ls, user, strlen(user), NULL, 0,
		secret_reveal(o->text), secret_len(o->text),
		o->passphrase != NULL ? secret_reveal(o->passphrase) : NULL);
}

/* 0: logged in; 1: refused; -1: *err. *code is libssh2's. */
static int offer(struct offer *o, int *code, struct error *err)
{
	struct login *l = o->login;
	void *abstract = o;

	for (;;) {
		ssh_link_pass(l->link);
		*code = request(o, &abstract);
		if (*code == 0) {
			return 0;
		}
		if (*code != LIBSSH2_ERROR_EAGAIN) {
			break;
		}
		if (ssh_link_wait(l->link, l->deadline, err) < 0) {
			return -1;
		}
	}
	if (o->error.kind == ERROR_INTERRUPTED) {
		*err = o->error;
		return -1;
	}
	/* The server's "Too many authentication failures" comes as a disconnect. */
	if (ssh_link_failed(l->link) || l->link->disconnect[0] != '\0') {
		char reason[512];
		ssh_link_reason(l->link, reason, sizeof(reason));
		return error_set(err, ERROR_CONNECT, "%s", reason);
	}
	return 1;
}

static __attribute__((format(printf, 2, 3))) void note(struct login *l, const char *fmt, ...)
{
	va_list ap;

	if (l->tried.len > 0) {
		str_add(&l->tried, ", ");
	}
	va_start(ap, fmt);
	str_vaddf(&l->tried, fmt, ap);
	va_end(ap);
}

/* See the head of this file. */
static void name_algorithm(const struct str *original, struct str *blob)
{
	struct wire w = wire_reader(original->p, original->len);

	if (libssh2_version(LIBSSH2_RSA_SHA2) == NULL && wire_is(&w, "ssh-rsa")) {
		wire_put_text(blob, "rsa-sha2-512");
		str_addn(blob, w.p, w.len);
	} else {
		str_addn(blob, original->p, original->len);
	}
}

/* Certificates and security keys have signatures that libssh2 cannot wrap. */
static bool usable(const struct str *blob)
{
	struct wire w = wire_reader(blob->p, blob->len);
	CLEANUP_FREE char *type = wire_text(&w);

	return type != NULL && !str_starts(type, "sk-") && strstr(type, "-cert-") == NULL;
}

static int offer_agent_key(
	struct login *l, struct ssh_agent *a, struct ssh_agent_key *key, struct error *err)
{
	struct offer o = {
		.login = l, .blob = STR_INIT(SSH_KEY_MAX), .original = &key->blob, .agent = a};
	int code;

	key->used = true;
	if (!usable(&key->blob) || l->offers >= MAX_OFFERS) {
		return 1;
	}
	name_algorithm(&key->blob, &o.blob);
	l->offers++;
	note(l, "'%s' from the agent", key->comment);
	int rc = offer(&o, &code, err);
	if (rc == 1 && o.error.kind != ERROR_NONE) {
		note(l, "(%s)", o.error.text);
	}
	str_fini(&o.blob);
	return rc;
}

/* An RSA key of a file. 2: it cannot be read. */
static int offer_rsa(
	struct login *l, const struct secret *text, const char *phrase, struct error *err)
{
	struct ssh_rsa *rsa = ssh_rsa_load(secret_reveal(text), secret_len(text), phrase);
	struct str original = STR_INIT(SSH_KEY_MAX);
	struct offer o = {
		.login = l, .blob = STR_INIT(SSH_KEY_MAX), .original = &original, .rsa = rsa};
	int code;

	if (rsa == NULL) {
		return 2;
	}
	ssh_rsa_blob(rsa, &original);
	name_algorithm(&original, &o.blob);
	l->offers++;
	int rc = offer(&o, &code, err);
	l->saw_rsa = l->saw_rsa || rc == 1;
	str_fini(&o.blob);
	str_fini(&original);
	ssh_rsa_free(rsa);
	return rc;
}

static bool unreadable(int code)
{
	return code == LIBSSH2_ERROR_FILE || code == LIBSSH2_ERROR_KEYFILE_AUTH_FAILED ||
	       code == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED || code == LIBSSH2_ERROR_PROTO;
}

/* 0, 1 and -1 as offer(); 2: it cannot be read, or the passphrase is wrong. */
static int offer_text(struct login *l, const struct ssh_key_info *info, const struct secret *text,
	const struct secret *phrase, struct error *err)
{
	struct offer o = {.login = l, .text = text, .passphrase = phrase};
	int code;

	/* RSA in OpenSSH's own encrypted format is libssh2's (bcrypt), with SHA-1. */
	if (info->rsa && !(info->openssh && info->encrypted)) {
		return offer_rsa(l, text, phrase != NULL ? secret_reveal(phrase) : NULL, err);
	}
	l->offers++;
	int rc = offer(&o, &code, err);
	if (rc == 1 && unreadable(code)) {
		l->offers--;
		return 2;
	}
	l->saw_rsa = l->saw_rsa || (rc == 1 && info->rsa);
	return rc;
}

static int offer_encrypted(struct login *l, const struct ssh_key_info *info,
	const struct secret *text, const char *file, struct error *err)
{
	int rc = 2;

	for (int i = 0; i < PASSPHRASE_TRIES && rc == 2; i++) {
		int64_t begin = clock_mono_ms();
		struct secret *phrase = ssh_keyring_passphrase(l->keyring, l->target, file);
		l->deadline += clock_mono_ms() - begin;
		if (phrase == NULL) {
			note(l, "'%s' (encrypted, no passphrase)", file);
			return 1;
		}
		rc = offer_text(l, info, text, phrase, err);
		secret_unref(phrase);
		if (rc == 2) {
			ssh_keyring_forget(l->keyring, file);
		}
	}
	note(l, "'%s'%s", file, rc == 2 ? " (wrong passphrase)" : "");
	return rc == 2 ? 1 : rc;
}

static int offer_key(
	struct login *l, const struct secret *text, const char *name, struct error *err)
{
	struct ssh_key_info info;
	int rc = 1;

	if (l->offers >= MAX_OFFERS) {
		return 1;
	}
	if (ssh_key_inspect(secret_reveal(text), secret_len(text), &info) < 0) {
		note(l, "'%s' (not a private key)", name);
	} else if (info.encrypted) {
		rc = offer_encrypted(l, &info, text, name, err);
	} else {
		rc = offer_text(l, &info, text, NULL, err);
		note(l, "'%s'%s", name, rc == 2 ? " (unreadable format)" : "");
		rc = rc == 2 ? 1 : rc;
	}
	ssh_key_info_fini(&info);
	return rc;
}

/* The text of a key file; NULL when it is not there. */
static struct secret *read_key(struct login *l, const char *file)
{
	struct str text = STR_INIT(SSH_KEY_MAX);
	struct error why = {0};
	struct secret *secret = NULL;

	if (fs_read(file, &text, &why) == 0) {
		secret = secret_new(str_c(&text), text.len);
	} else if (fs_exists(file)) {
		note(l, "'%s' (cannot be read)", file);
	}
	if (text.p != NULL) {
		explicit_bzero(text.p, text.len);
	}
	str_fini(&text);
	return secret;
}

/* The public key of a file: of FILE.pub, or out of the private key's head. */
static void public_of(const char *file, struct str *blob)
{
	CLEANUP_FREE char *pub = xasprintf("%s.pub", file);
	CLEANUP_STR struct str text = STR_INIT(SSH_KEY_MAX);
	struct error ignored = {0};
	struct ssh_key_info info = {.blob = STR_INIT(SSH_KEY_MAX)};

	if (fs_read(pub, &text, &ignored) == 0 && ssh_public_line(str_c(&text), blob) == 0) {
		return;
	}
	str_reset(&text);
	str_reset(blob);
	if (fs_read(file, &text, &ignored) == 0 &&
		ssh_key_inspect(str_c(&text), text.len, &info) == 0) {
		str_addn(blob, info.blob.p, info.blob.len);
	}
	if (text.p != NULL) {
		explicit_bzero(text.p, text.len);
	}
	ssh_key_info_fini(&info);
}

static bool same(const struct str *a, const struct str *b)
{
	return a->len > 0 && a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* The agent's keys that belong to an identity file; those files need not be tried again. */
static int offer_matching(
	struct login *l, struct ssh_agent *a, struct strvec *in_agent, struct error *err)
{
	const struct strvec *files = &l->target->identity_files;
	int rc = 1;

	for (size_t i = 0; i < files->len && rc == 1; i++) {
		struct str blob = STR_INIT(SSH_KEY_MAX);
		public_of(files->p[i], &blob);
		for (size_t k = 0; k < a->n && rc == 1; k++) {
			if (!a->keys[k].used && same(&a->keys[k].blob, &blob)) {
				strvec_push(in_agent, files->p[i]);
				rc = offer_agent_key(l, a, &a->keys[k], err);
			}
		}
		str_fini(&blob);
	}
	return rc;
}

static int try_agent(struct login *l, struct strvec *in_agent, struct error *err)
{
	struct ssh_agent a = {.fd = -1};
	struct error why = {0};
	int rc = 1;

	if (l->target->agent == NULL) {
		return 1;
	}
	if (ssh_agent_open(&a, l->target->agent, &why) == 0 && ssh_agent_list(&a, &why) == 0) {
		rc = offer_matching(l, &a, in_agent, err);
		for (size_t i = 0; i < a.n && rc == 1 && !l->target->identities_only; i++) {
			if (!a.keys[i].used) {
				rc = offer_agent_key(l, &a, &a.keys[i], err);
			}
		}
	} else if (why.kind == ERROR_INTERRUPTED) {
		*err = why;
		rc = -1;
	}
	ssh_agent_close(&a);
	return rc;
}

static int try_files(struct login *l, const struct strvec *in_agent, struct error *err)
{
	const struct strvec *files = &l->target->identity_files;
	int rc = 1;

	for (size_t i = 0; i < files->len && rc == 1; i++) {
		if (strvec_has(in_agent, files->p[i])) {
			continue;
		}
		struct secret *text = read_key(l, files->p[i]);
		if (text != NULL) {
			rc = offer_key(l, text, files->p[i], err);
			secret_unref(text);
		}
	}
	return rc;
}

static int try_given(struct login *l, struct error *err)
{
	int rc = 1;

	for (size_t i = 0; i < l->target->key_data.len && rc == 1; i++) {
		rc = offer_key(l, l->target->key_data.p[i], "key_data", err);
	}
	return rc;
}

static int refused(const struct login *l, struct error *err)
{
	error_set(err, ERROR_CONNECT, "'%s@%s' refused: tried %s", l->target->user,
		l->target->hostname,
		l->tried.len > 0 ? str_c(&l->tried) : "no key (none was found)");
	if (l->saw_rsa && libssh2_version(LIBSSH2_RSA_SHA2) == NULL) {
		return error_hint(err,
			"an encrypted RSA key is signed with SHA-1 by libssh2 %s, which servers "
			"refuse: "
			"add it to an ssh-agent, or use an ed25519 key (ssh-keygen -t ed25519)",
			libssh2_version(0));
	}
	return error_hint(err,
		"does 'ssh -p %d %s@%s' work? is the user right (ssh.user), and is the "
		"public key in its ~/.ssh/authorized_keys? (ssh-copy-id)",
		l->target->port, l->target->user, l->target->hostname);
}

int ssh_auth(struct login *l, struct error *err)
{
	CLEANUP_STRVEC struct strvec in_agent = {0};
	int rc = try_given(l, err);

	if (rc == 1) {
		rc = try_agent(l, &in_agent, err);
	}
	if (rc == 1) {
		rc = try_files(l, &in_agent, err);
	}
	if (rc == 1) {
		return refused(l, err);
	}
	if (rc < 0 && err->kind == ERROR_CONNECT) {
		error_wrap(err, "login as '%s'", l->target->user);
		if (l->offers > 2) {
			error_hint(err,
				"%u keys were offered; name the right one (ssh.keys with "
				"keys_only: true, or IdentitiesOnly in ~/.ssh/config)",
				l->offers);
		}
	}
	return rc;
}
