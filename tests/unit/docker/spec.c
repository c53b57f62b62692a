/* SPDX-License-Identifier: MIT */
/* The body of a container's creation, and docker run's options onto it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "docker/spec.h"

#include <stdlib.h>
#include <string.h>

static void assert_body(const struct docker_container_spec *s, const char *expected)
{
	struct docker_body body = {0};
	struct error err = {0};
	assert_int_equal(docker_container_spec_body(s, &body, &err), 0);
	CLEANUP_FREE char *text = xstrndup(body.p, body.len);
	assert_string_equal(text, expected);
	json_error_t je;
	CLEANUP_JSON json_t *j = json_loadb(body.p, body.len, JSON_REJECT_DUPLICATES, &je);
	assert_non_null(j);
	docker_body_fini(&body);
}

static void an_empty_spec_says_little(void **state)
{
	(void)state;
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {.image = xstrdup("a:1")};
	assert_body(&s, "{\"Image\":\"a:1\",\"HostConfig\":{},\"Env\":[]}");
}

static void secrets_arrive_as_they_are(void **state)
{
	(void)state;
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {.image = xstrdup("a")};
	static const char nasty[] = "a\"b\\c\n\t\x01$'d=\xc3\xa9";
	strmap_set(&s.env, "A", "clear");
	strmap_set(&s.env, "B", "hidden by the secret");
	secret_map_set(&s.secret_env, "B", secret_new(nasty, sizeof(nasty) - 1));
	secret_map_set(&s.secret_env, "EMPTY", secret_new("", 0));
	assert_body(&s, "{\"Image\":\"a\",\"HostConfig\":{},\"Env\":[\"A=clear\","
			"\"B=a\\\"b\\\\c\\u000a\\u0009\\u0001$'d=\xc3\xa9\",\"EMPTY=\"]}");
}

static void what_json_cannot_carry_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value;
		size_t len;
		const char *words;
	} cases[] = {
		{"A", "x\0y", 3, "NUL"},
		{"A", "x\xff", 2, "not UTF-8"},
		{"A", "\xc3", 1, "not UTF-8"},
		{"A", "\xed\xa0\x80", 3, "not UTF-8"},
		{"A", "\xc0\x80", 2, "not UTF-8"},
		{"A", "\xf4\x90\x80\x80", 4, "not UTF-8"},
		{"A=B", "x", 1, "no name"},
		{"", "x", 1, "no name"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_DOCKER_SPEC struct docker_container_spec s = {.image = xstrdup("a")};
		struct docker_body body = {0};
		struct error err = {0};
		secret_map_set(
			&s.secret_env, cases[i].name, secret_new(cases[i].value, cases[i].len));
		assert_int_equal(docker_container_spec_body(&s, &body, &err), -1);
		assert_non_null(strstr(err.text, cases[i].words));
		assert_int_equal(err.kind, ERROR_MANIFEST);
	}
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {.image = xstrdup("a")};
	struct docker_body body = {0};
	struct error err = {0};
	strmap_set(&s.labels, "x", "\xff");
	assert_int_equal(docker_container_spec_body(&s, &body, &err), -1);
	assert_string_equal(err.text, "a value of Labels is not UTF-8");
}

/* One option and the body that it makes. */
static void options_become_members(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *config, *host;
	} cases[] = {
		{"memory", "1g", "", "\"Memory\":1073741824"},
		{"m", "512MB", "", "\"Memory\":536870912"},
		{"memory-swap", "-1", "", "\"MemorySwap\":-1"},
		{"memory-swappiness", "0", "", "\"MemorySwappiness\":0"},
		{"cpus", "1.5", "", "\"NanoCpus\":1500000000"},
		{"cpu-shares", "512", "", "\"CpuShares\":512"},
		{"pids-limit", "-1", "", "\"PidsLimit\":-1"},
		{"shm-size", "64m", "", "\"ShmSize\":67108864"},
		{"ulimit", "nofile=1024:2048", "",
			"\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1024,\"Hard\":2048}]"},
		{"ulimit", "core=-1", "",
			"\"Ulimits\":[{\"Name\":\"core\",\"Soft\":-1,\"Hard\":-1}]"},
		{"read-only", "true", "", "\"ReadonlyRootfs\":true"},
		{"read-only", "false", "", ""},
		{"privileged", "", "", "\"Privileged\":true"},
		{"init", "", "", "\"Init\":true"},
		{"init", "false", "", "\"Init\":false"},
		{"tmpfs", "/tmp", "", "\"Tmpfs\":{\"/tmp\":\"\"}"},
		{"tmpfs", "/run:size=64m,mode=1777", "",
			"\"Tmpfs\":{\"/run\":\"size=64m,mode=1777\"}"},
		{"cap-drop", "ALL", "", "\"CapDrop\":[\"ALL\"]"},
		{"cap-add", "NET_BIND_SERVICE", "", "\"CapAdd\":[\"NET_BIND_SERVICE\"]"},
		{"security-opt", "no-new-privileges", "",
			"\"SecurityOpt\":[\"no-new-privileges\"]"},
		{"user", "1000:1000", "\"User\":\"1000:1000\",", ""},
		{"w", "/app", "\"WorkingDir\":\"/app\",", ""},
		{"hostname", "h", "\"Hostname\":\"h\",", ""},
		{"tty", "", "\"Tty\":true,", ""},
		{"interactive", "", "\"OpenStdin\":true,", ""},
		{"sysctl", "net.core.somaxconn=1024", "",
			"\"Sysctls\":{\"net.core.somaxconn\":\"1024\"}"},
		{"device", "/dev/a:/dev/b:r", "",
			"\"Devices\":[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/b\","
			"\"CgroupPermissions\":\"r\"}]"},
		{"device", "/dev/a", "",
			"\"Devices\":[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/a\","
			"\"CgroupPermissions\":\"rwm\"}]"},
		{"gpus", "all", "",
			"\"DeviceRequests\":[{\"Capabilities\":[[\"gpu\"]],\"Count\":-1}]"},
		{"gpus", "device=0,1", "",
			"\"DeviceRequests\":[{\"Capabilities\":[[\"gpu\"]],"
			"\"DeviceIDs\":[\"0\",\"1\"]}]"},
		{"health-cmd", "curl x", "\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"curl x\"]},",
			""},
		{"health-interval", "1m30s", "\"Healthcheck\":{\"Interval\":90000000000},", ""},
		{"no-healthcheck", "", "\"Healthcheck\":{\"Test\":[\"NONE\"]},", ""},
		{"restart", "on-failure:3", "",
			"\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}"},
		{"log-driver", "journald", "", "\"LogConfig\":{\"Type\":\"journald\"}"},
		{"log-opt", "max-size=10m", "",
			"\"LogConfig\":{\"Type\":\"\",\"Config\":{\"max-size\":\"10m\"}}"},
		{"stop-timeout", "30", "\"StopTimeout\":30,", ""},
		{"stop-signal", "SIGQUIT", "\"StopSignal\":\"SIGQUIT\",", ""},
		{"add-host", "db:10.0.0.1", "", "\"ExtraHosts\":[\"db:10.0.0.1\"]"},
		{"add-host", "db=host-gateway", "", "\"ExtraHosts\":[\"db:host-gateway\"]"},
		{"dns", "1.1.1.1", "", "\"Dns\":[\"1.1.1.1\"]"},
		{"expose", "80", "\"ExposedPorts\":{\"80/tcp\":{}},", ""},
		{"publish", "127.0.0.1:5433:5432", "\"ExposedPorts\":{\"5432/tcp\":{}},",
			"\"PortBindings\":{\"5432/tcp\":[{\"HostIp\":\"127.0.0.1\","
			"\"HostPort\":\"5433\"}]}"},
		{"p", "53:53/udp", "\"ExposedPorts\":{\"53/udp\":{}},",
			"\"PortBindings\":{\"53/udp\":[{\"HostPort\":\"53\"}]}"},
		{"volume", "data:/var/lib/x:ro", "", "\"Binds\":[\"data:/var/lib/x:ro\"]"},
		{"volume", "/anonymous", "\"Volumes\":{\"/anonymous\":{}},", ""},
		{"mount", "type=bind,src=/a,dst=/b,readonly", "",
			"\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/a\",\"Target\":\"/b\","
			"\"ReadOnly\":true}]"},
		{"mount", "type=tmpfs,target=/t,tmpfs-size=1m", "",
			"\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/t\",\"TmpfsOptions\":"
			"{\"SizeBytes\":1048576}}]"},
		{"network", "host", "", "\"NetworkMode\":\"host\""},
		{"entrypoint", "", "\"Entrypoint\":[\"\"],", ""},
		{"entrypoint", "/bin/x", "\"Entrypoint\":[\"/bin/x\"],", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_DOCKER_SPEC struct docker_container_spec s = {.image = xstrdup("a")};
		struct error err = {0};
		if (docker_spec_option(&s, cases[i].name, cases[i].value, &err) != 0) {
			fail_msg("%s=%s: %s", cases[i].name, cases[i].value, err.text);
		}
		CLEANUP_FREE char *expected =
			xasprintf("{\"Image\":\"a\",%s\"HostConfig\":{%s},\"Env\":[]}",
				cases[i].config, cases[i].host);
		assert_body(&s, expected);
	}
}

static void wrong_options_are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *words, *hint;
	} cases[] = {
		{"memroy", "1g", "docker run has no option 'memroy'", "did you mean 'memory'?"},
		{"readonly", "", "no option 'readonly'", "did you mean 'read-only'?"},
		{"xyzzy-frob", "", "no option", ""},
		{"name", "x", "option 'name': it cannot be given here: the tool names", ""},
		{"detach", "", "always run in the background", ""},
		{"link", "x", "option 'link': it is not supported", ""},
		{"memory", "lots", "write a size", ""},
		{"memory", "-1", "write a size", ""},
		{"cpus", "two", "number of CPUs", ""},
		{"cpus", "0", "number of CPUs", ""},
		{"cpus", "nan", "number of CPUs", ""},
		{"restart", "sometimes", "unless-stopped", ""},
		{"tmpfs", "tmp", "write /path", ""},
		{"ulimit", "nofile", "nofile=1024", ""},
		{"publish", "80-90:80", "range", ""},
		{"publish", "99999", "no port", ""},
		{"publish", "80/http", "no port", ""},
		{"volume", "data:relative", "name:/path", ""},
		{"mount", "type=bind,target=/x", "source=/path", ""},
		{"mount", "type=npipe,target=/x", "bind, volume or tmpfs", ""},
		{"mount", "type=volume,target=/x,consistency=cached", "known here", ""},
		{"read-only", "maybe", "true or false", ""},
		{"label", "=x", "name=value", ""},
		{"env", "HOME", "NAME=value", ""},
		{"security-opt", "seccomp=profile.json", "its JSON", ""},
		{"health-interval", "soon", "duration", ""},
		{"oom-score-adj", "-1001", "-1000", ""},
		{"gpus", "some", "all, a number", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
		struct error err = {0};
		assert_int_equal(docker_spec_option(&s, cases[i].name, cases[i].value, &err), -1);
		if (!strstr(err.text, cases[i].words) || strcmp(err.hint, cases[i].hint) != 0) {
			fail_msg("%s=%s: '%s' '%s'", cases[i].name, cases[i].value, err.text,
				err.hint);
		}
		assert_int_equal(err.kind, ERROR_MANIFEST);
	}
}

static void kinds_of_options(void **state)
{
	(void)state;
	assert_int_equal(docker_option_kind("read-only"), DOCKER_OPTION_BOOL);
	assert_int_equal(docker_option_kind("init"), DOCKER_OPTION_BOOL);
	assert_int_equal(docker_option_kind("memory"), DOCKER_OPTION_VALUE);
	assert_int_equal(docker_option_kind("v"), DOCKER_OPTION_LIST);
	assert_int_equal(docker_option_kind("label"), DOCKER_OPTION_LIST);
	assert_int_equal(docker_option_kind("name"), DOCKER_OPTION_REFUSED);
	assert_int_equal(docker_option_kind("nonsense"), DOCKER_OPTION_UNKNOWN);
}

static void sizes_and_durations(void **state)
{
	(void)state;
	assert_int_equal(docker_parse_bytes("0"), 0);
	assert_int_equal(docker_parse_bytes("1024"), 1024);
	assert_int_equal(docker_parse_bytes("10b"), 10);
	assert_int_equal(docker_parse_bytes("1.5g"), 1610612736);
	assert_int_equal(docker_parse_bytes("2KiB"), 2048);
	assert_int_equal(docker_parse_bytes("1 MB"), 1048576);
	static const char *const bad[] = {"", "g", "1x", "1gg", "-1", "1bb", "99999999999999p"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(docker_parse_bytes(bad[i]), -1);
	}
	assert_int_equal(docker_parse_duration("10"), 10000);
	assert_int_equal(docker_parse_duration("1m30s"), 90000);
	assert_int_equal(docker_parse_duration("500ms"), 500);
	assert_int_equal(docker_parse_duration("1.5h"), 5400000);
	static const char *const wrong[] = {"", "s", "1x", "1m30", "-1s", "1 s"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(docker_parse_duration(wrong[i]), -1);
	}
}

static void ports_in_every_notation(void **state)
{
	(void)state;
	static const struct {
		const char *text, *ip;
		int host, container;
		const char *protocol;
	} cases[] = {
		{"80", NULL, 0, 80, "tcp"},
		{"8080:80", NULL, 8080, 80, "tcp"},
		{"127.0.0.1:8080:80", "127.0.0.1", 8080, 80, "tcp"},
		{"127.0.0.1::80", "127.0.0.1", 0, 80, "tcp"},
		{"[::1]:8080:80/udp", "::1", 8080, 80, "udp"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
		struct error err = {0};
		assert_int_equal(docker_parse_port(cases[i].text, &s.ports, &err), 0);
		const struct docker_port *p = &s.ports.p[0];
		assert_true(str_eq(p->host_ip, cases[i].ip));
		assert_int_equal(p->host_port, cases[i].host);
		assert_int_equal(p->container_port, cases[i].container);
		assert_string_equal(p->protocol, cases[i].protocol);
	}
}

static void a_whole_spec(void **state)
{
	(void)state;
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {.image = xstrdup("sha256:1"),
		.name = xstrdup("web"),
		.network = xstrdup("deploy"),
		.restart = xstrdup("unless-stopped"),
		.memory = 1 << 20};
	strvec_push(&s.cmd, "run");
	strvec_push(&s.network_aliases, "web-1");
	strmap_set(&s.labels, "service", "x");
	assert_body(&s,
		"{\"Image\":\"sha256:1\",\"Cmd\":[\"run\"],\"Labels\":{\"service\":\"x\"},"
		"\"HostConfig\":{\"NetworkMode\":\"deploy\",\"Memory\":1048576,"
		"\"RestartPolicy\":{\"Name\":\"unless-stopped\"}},"
		"\"NetworkingConfig\":{\"EndpointsConfig\":{\"deploy\":{\"Aliases\":[\"web-1\"]}}},"
		"\"Env\":[]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_spec_says_little),
		cmocka_unit_test(secrets_arrive_as_they_are),
		cmocka_unit_test(what_json_cannot_carry_is_refused),
		cmocka_unit_test(options_become_members),
		cmocka_unit_test(wrong_options_are_explained),
		cmocka_unit_test(kinds_of_options),
		cmocka_unit_test(sizes_and_durations),
		cmocka_unit_test(ports_in_every_notation),
		cmocka_unit_test(a_whole_spec),
	};
	return cmocka_run_group_tests_name("docker spec", tests, NULL, NULL);
}
