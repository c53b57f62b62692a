/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include "docker/container.h"
#include "util/clock.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define TABLE_OWNER 2    /* NFT_TABLE_F_OWNER, in headers since Linux 5.12 */
#define PRIORITY    -400 /* before connection tracking, and so before Docker's translation */
#define RULES_MAX   ((size_t)64 << 10)
#define FOLDER      "/gate"
#define WORDS_MS    15000

/* -- The rules, as netlink messages (linux/netfilter/nf_tables.h) -- */

struct message {
	struct str *out;
	size_t begin;
};

static void pad(struct str *out)
{
	static const char zeros[NLA_ALIGNTO];
	str_addn(out, zeros, NLA_ALIGN(out->len) - out->len);
}

/* Lengths are known at the end. */
static void set_length(struct str *out, size_t begin, size_t size)
{
	size_t len = out->len - begin;
	if (!out->overflow && size == sizeof(uint32_t)) {
		memcpy(out->p + begin, &(uint32_t){(uint32_t)len}, size);
	} else if (!out->overflow) {
		memcpy(out->p + begin, &(uint16_t){(uint16_t)len}, size);
	}
}

static size_t begin_nest(struct str *out, uint16_t type)
{
	struct nlattr a = {.nla_type = (uint16_t)(type | NLA_F_NESTED)};
	size_t begin = out->len;
	str_addn(out, &a, sizeof(a));
	return begin;
}

static void end_nest(struct str *out, size_t begin)
{
	set_length(out, begin, sizeof(uint16_t));
}

static void put(struct str *out, uint16_t type, const void *value, size_t len)
{
	struct nlattr a = {.nla_type = type, .nla_len = (uint16_t)(sizeof(a) + len)};
	str_addn(out, &a, sizeof(a));
	str_addn(out, value, len);
	pad(out);
}

static void put_text(struct str *out, uint16_t type, const char *text)
{
	put(out, type, text, strlen(text) + 1);
}

static void put_u32(struct str *out, uint16_t type, uint32_t value)
{
	put(out, type, &(uint32_t){htonl(value)}, sizeof(value));
}

static struct message begin_message(
	struct str *out, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
	struct message m = {.out = out, .begin = out->len};
	struct nlmsghdr header = {
		.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
	struct nfgenmsg general = {.nfgen_family = family, .res_id = htons(resource)};
	str_addn(out, &header, sizeof(header));
	str_addn(out, &general, sizeof(general));
	return m;
}

static struct message begin_change(struct str *out, uint16_t what, uint16_t flags)
{
	return begin_message(out, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | what),
		(uint16_t)(NLM_F_CREATE | flags), NFPROTO_INET, 0);
}

static void end_message(struct message m)
{
	set_length(m.out, m.begin, sizeof(uint32_t));
}

struct expression {
	size_t element, data;
};

static struct expression begin_expression(struct str *out, const char *name)
{
	struct expression e = {.element = begin_nest(out, NFTA_LIST_ELEM)};
	put_text(out, NFTA_EXPR_NAME, name);
	e.data = begin_nest(out, NFTA_EXPR_DATA);
	return e;
}

static void end_expression(struct str *out, struct expression e)
{
	end_nest(out, e.data);
	end_nest(out, e.element);
}

static void put_value(struct str *out, uint16_t type, const void *value, size_t len)
{
	size_t nest = begin_nest(out, type);
	put(out, NFTA_DATA_VALUE, value, len);
	end_nest(out, nest);
}

static void compare(struct str *out, const void *value, size_t len)
{
	struct expression e = begin_expression(out, "cmp");
	put_u32(out, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(out, NFTA_CMP_OP, NFT_CMP_EQ);
	put_value(out, NFTA_CMP_DATA, value, len);
	end_expression(out, e);
}

static void load_meta(struct str *out, enum nft_meta_keys key)
{
	struct expression e = begin_expression(out, "meta");
	put_u32(out, NFTA_META_KEY, key);
	put_u32(out, NFTA_META_DREG, NFT_REG_1);
	end_expression(out, e);
}

static void load_payload(
	struct str *out, enum nft_payload_bases base, uint32_t offset, uint32_t len)
{
	struct expression e = begin_expression(out, "payload");
	put_u32(out, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_u32(out, NFTA_PAYLOAD_BASE, base);
	put_u32(out, NFTA_PAYLOAD_OFFSET, offset);
	put_u32(out, NFTA_PAYLOAD_LEN, len);
	end_expression(out, e);
}

/* To an address of the server: what its containers ask of others passes through here too. */
static void match_local(struct str *out)
{
	struct expression e = begin_expression(out, "fib");
	put_u32(out, NFTA_FIB_DREG, NFT_REG_1);
	put_u32(out, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	put_u32(out, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	end_expression(out, e);
	compare(out, &(uint32_t){RTN_LOCAL}, sizeof(uint32_t));
}

/* The destination in the header: RFC 791, 3.1 and RFC 8200, 3. */
static int match_address(struct str *out, const char *ip, struct error *err)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	bool v4 = inet_pton(AF_INET, ip, bytes) == 1;
	if (!v4 && inet_pton(AF_INET6, ip, bytes) != 1) {
		return error_set(err, ERROR_USAGE, "'%s' is no IP address", ip);
	}
	load_meta(out, NFT_META_NFPROTO);
	compare(out, &(uint8_t){v4 ? NFPROTO_IPV4 : NFPROTO_IPV6}, 1);
	load_payload(out, NFT_PAYLOAD_NETWORK_HEADER, v4 ? 16 : 24, v4 ? 4 : 16);
	compare(out, bytes, v4 ? 4 : 16);
	return 0;
}

/* SYN alone of SYN, ACK, RST and FIN: RFC 9293, 3.1. */
static void match_first_packet(struct str *out)
{
	static const uint8_t mask = 0x17, none = 0, syn = 0x02;
	load_payload(out, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
	struct expression e = begin_expression(out, "bitwise");
	put_u32(out, NFTA_BITWISE_SREG, NFT_REG_1);
	put_u32(out, NFTA_BITWISE_DREG, NFT_REG_1);
	put_u32(out, NFTA_BITWISE_LEN, 1);
	put_value(out, NFTA_BITWISE_MASK, &mask, 1);
	put_value(out, NFTA_BITWISE_XOR, &none, 1);
	end_expression(out, e);
	compare(out, &syn, 1);
}

static void drop(struct str *out)
{
	struct expression e = begin_expression(out, "immediate");
	put_u32(out, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	size_t data = begin_nest(out, NFTA_IMMEDIATE_DATA);
	size_t verdict = begin_nest(out, NFTA_DATA_VERDICT);
	put_u32(out, NFTA_VERDICT_CODE, NF_DROP);
	end_nest(out, verdict);
	end_nest(out, data);
	end_expression(out, e);
}

static int add_rule(struct str *out, const char *table, const char *chain, bool last,
	const struct docker_port *port, struct error *err)
{
	struct message m = begin_change(
		out, NFT_MSG_NEWRULE, (uint16_t)(NLM_F_APPEND | (last ? NLM_F_ACK : 0)));
	put_text(out, NFTA_RULE_TABLE, table);
	put_text(out, NFTA_RULE_CHAIN, chain);
	size_t expressions = begin_nest(out, NFTA_RULE_EXPRESSIONS);
	if (!port->host_ip) {
		match_local(out);
	} else if (match_address(out, port->host_ip, err) < 0) {
		return -1;
	}
	load_meta(out, NFT_META_L4PROTO);
	compare(out, &(uint8_t){IPPROTO_TCP}, 1);
	load_payload(out, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
	compare(out, &(uint16_t){htons((uint16_t)port->host_port)}, 2);
	match_first_packet(out);
	drop(out);
	end_nest(out, expressions);
	end_message(m);
	return 0;
}

static void add_chain(struct str *out, const char *table, const char *name, uint32_t hook)
{
	struct message m = begin_change(out, NFT_MSG_NEWCHAIN, 0);
	put_text(out, NFTA_CHAIN_TABLE, table);
	put_text(out, NFTA_CHAIN_NAME, name);
	put_text(out, NFTA_CHAIN_TYPE, "filter");
	size_t nest = begin_nest(out, NFTA_CHAIN_HOOK);
	put_u32(out, NFTA_HOOK_HOOKNUM, hook);
	put_u32(out, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
	end_nest(out, nest);
	end_message(m);
}

int gate_rules(
	const char *table, const struct docker_ports *ports, struct str *out, struct error *err)
{
	/* What comes from elsewhere, and what begins on the server itself. */
	static const char *const chains[] = {"prerouting", "output"};
	end_message(
		begin_message(out, NFNL_MSG_BATCH_BEGIN, 0, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES));
	struct message m = begin_change(out, NFT_MSG_NEWTABLE, 0);
	put_text(out, NFTA_TABLE_NAME, table);
	put_u32(out, NFTA_TABLE_FLAGS, TABLE_OWNER);
	end_message(m);
	add_chain(out, table, chains[0], NF_INET_PRE_ROUTING);
	add_chain(out, table, chains[1], NF_INET_LOCAL_OUT);
	VEC_FOREACH (ports, i) {
		for (int c = 0; c < 2; c++) {
			if (add_rule(out, table, chains[c], c == 1 && i + 1 == ports->len,
				    &ports->p[i], err) < 0) {
				return -1;
			}
		}
	}
	end_message(
		begin_message(out, NFNL_MSG_BATCH_END, 0, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES));
	return out->overflow ? error_set(err, ERROR_USAGE, "too many ports") : 0;
}

/* -- The gatekeeper -- */

static char *gate_name(const struct proxy *p)
{
	return xasprintf("%s-gate", p->container);
}

static const char *own_architecture(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#else
	return "?";
#endif
}

static int can_shut(const struct proxy *p, struct error *err)
{
	const struct docker_info *info = &p->host->info;
	if (p->config.no_ports) {
		return error_set(err, ERROR_USAGE, "the proxy publishes no ports of its own");
	}
	if (info->rootless) {
		return error_set(err, ERROR_USAGE, "Docker runs without root there");
	}
	if (gatekeeper_len == 0 || !str_eq(info->architecture, own_architecture())) {
		return error_set(err, ERROR_USAGE, "its processor (%s) is another one than here",
			info->architecture);
	}
	return 0;
}

/* The container is root without its powers: it reads what everybody can read. */
static int bring(struct proxy *p, const struct docker_ports *ports, struct error *err)
{
	CLEANUP_STR struct str rules = STR_INIT(RULES_MAX);
	CLEANUP_FREE char *table = gate_name(p);
	CLEANUP_FREE char *folder = proxy_path(p, "gate");
	CLEANUP_FREE char *program = proxy_path(p, "gate/gatekeeper");
	CLEANUP_FREE char *file = proxy_path(p, "gate/rules");
	if (gate_rules(table, ports, &rules, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	sftp_mkdirs(b, folder, 0755);
	sftp_barrier(b);
	sftp_write(b, program, gatekeeper, gatekeeper_len, 0755);
	sftp_write(b, file, str_c(&rules), rules.len, 0644);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	sftp_batch_free(b);
	return rc;
}

static void describe(
	const struct proxy *p, const char *image, int limit_s, struct docker_container_spec *spec)
{
	spec->name = gate_name(p);
	spec->image = xstrdup(image);
	spec->network = xstrdup("host");
	spec->user = xstrdup("0:0");
	spec->userns = xstrdup("host");
	spec->restart = xstrdup("no");
	spec->auto_remove = spec->read_only = spec->has_entrypoint = true;
	strvec_push(&spec->entrypoint, FOLDER "/gatekeeper");
	strvec_push(&spec->cmd, FOLDER "/rules");
	strvec_pushf(&spec->cmd, "%d", limit_s);
	strvec_pushf(&spec->binds, "%s/gate:" FOLDER ":ro", p->root);
	strvec_push(&spec->cap_drop, "ALL");
	strvec_push(&spec->cap_add, "NET_ADMIN");
	strvec_push(&spec->security_opt, "no-new-privileges");
	spec->attach = spec->open_stdin = true;
}

static int first_words(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	struct str *words = ctx;
	(void)stream;
	str_addn(words, data, len);
	return strchr(str_c(words), '\n') ? 1 : 0;
}

/* The first line that it says; ends with its output, too. */
static int read_words(int fd, struct str *words, struct error *err)
{
	struct frames frames;
	char bytes[256];
	int64_t until = clock_mono_ms() + WORDS_MS;
	frames_init(&frames, false);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = until - clock_mono_ms();
		if (left <= 0 || poll(&p, 1, (int)left) <= 0) {
			return error_set(err, ERROR_REMOTE, "the gatekeeper says nothing");
		}
		ssize_t n = read(fd, bytes, sizeof(bytes));
		if (n <= 0 || frames_feed(&frames, bytes, (size_t)n, first_words, words) != 0) {
			return 0;
		}
	}
}

static int start_keeper(
	struct proxy *p, const struct docker_container_spec *spec, struct error *err)
{
	struct docker *d = p->host->docker;
	CLEANUP_STR struct str words = STR_INIT(STR_MAX_LINE);
	int fd = docker_container_remove(d, spec->name, true, true, err) < 0 ||
				 docker_container_create(d, spec, NULL, err) < 0
			 ? -1
			 : docker_container_attach(d, spec->name, true, false, err);
	if (fd >= 0 && docker_container_start(d, spec->name, err) == 0 &&
		read_words(fd, &words, err) == 0) {
		if (str_eq(str_c(&words), "shut\n")) {
			return fd;
		}
		error_set(err, ERROR_REMOTE, "%.*s", (int)strcspn(str_c(&words), "\n"),
			words.len ? str_c(&words) : "the gatekeeper does not run");
	}
	if (fd >= 0) {
		close(fd);
	}
	return -1;
}

int gate_remove(struct proxy *p, struct error *err)
{
	CLEANUP_FREE char *name = gate_name(p);
	CLEANUP_FREE char *folder = proxy_path(p, "gate");
	if (docker_container_remove(p->host->docker, name, true, true, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	sftp_rmtree(b, folder, 100);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	sftp_batch_free(b);
	return rc;
}

/* It stays open, or opens, all the same. */
static void remove_keeper(struct proxy *p)
{
	struct error ignored = {0};
	if (gate_remove(p, &ignored) < 0) {
		ui_debug(p->host->ui, p->host->name, "%s", ignored.text);
	}
}

int gate_shut(struct proxy *p, const char *image, const struct docker_ports *ports, int limit_s,
	struct error *err)
{
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
	if (can_shut(p, err) < 0) {
		return -1;
	}
	describe(p, image, limit_s, &spec);
	int fd = bring(p, ports, err) < 0 ? -1 : start_keeper(p, &spec, err);
	if (fd < 0) {
		remove_keeper(p);
	}
	return fd;
}

void gate_open(struct proxy *p, int gate)
{
	if (gate >= 0) {
		close(gate);
		remove_keeper(p);
	}
}
