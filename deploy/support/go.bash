# SPDX-License-Identifier: MIT
# Programs of which Debian has no package, built from their published sources by
# the Go tool chain. Sourced by `image`, whose `cache` it keeps them in.
# shellcheck disable=SC2154 # that one

declare -A go_modules=(
	[traefik]=github.com/traefik/traefik/v3@v3.6.0
	[pebble]=github.com/letsencrypt/pebble/v2@v2.10.1
	[pebble-challtestsrv]=github.com/letsencrypt/pebble/v2@v2.10.1
)

# What a program is made from, in short.
go_id() {
	{
		echo "${go_modules[$1]}"
		[[ $1 != traefik ]] ||
			declare -f edit_traefik edit_exporter edit_imports edit_functions stub
		declare -f go_build
	} | sha256sum | cut -c1-16
}

# shellcheck disable=SC2154 # cache is image's
go_kept() { echo "$cache/go/$1-$(go_id "$1")"; }

# go_program NAME: prints the path of a program, built once per machine.
go_program() {
	local name=$1 kept
	[[ -n ${go_modules[$name]:-} ]] || die "no such program '$name'; there are: ${!go_modules[*]}"
	kept=$(go_kept "$name")
	mkdir -p "$cache/go"
	(
		flock 8
		[[ -s $kept ]] || go_build "$name" "$kept" >&2
	) 8>"$cache/go/lock"
	echo "$kept"
}

go_build() {
	local name=$1 kept=$2 version=${go_modules[$1]##*@} go source work
	go=$(PATH=$PATH:/usr/local/go/bin command -v go) || die "'$name' is built by the Go tool chain," \
		"which this machine does not have (no 'go' in PATH or /usr/local/go/bin)"
	need_commands jq
	say "building $name $version with $("$go" env GOVERSION): minutes, but once"
	source=$(cd / && "$go" mod download -json "${go_modules[$name]}" | jq -r '.Dir // empty') || true
	[[ -n $source ]] || die "cannot download ${go_modules[$name]}"
	work=$(mktemp -d "$cache/work.XXXXXX")
	cp -R "$source" "$work/source"
	chmod -R u+w "$work/source"
	(
		cd "$work/source"
		[[ $name != traefik ]] || edit_traefik
		CGO_ENABLED=0 GOCACHE=$cache/go/cache \
			"$go" build -trimpath -o "$work/program" -ldflags \
			"-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=${version#v}" "./cmd/$name"
	) || die "${go_modules[$name]} does not build"
	mv "$work/program" "$kept"
	rm -rf "$work"
}

# --- Traefik ----------------------------------------------------------------
# As published it is 1624 packages, most of them clients of systems that neither
# the tests nor the demo have. Left out are other sources of configuration than
# files (Docker, Kubernetes, Consul, Nomad, ECS, etcd, ZooKeeper, Redis), ACME's
# DNS providers, exporters of traces and metrics but Prometheus, WASM plugins,
# SPIFFE, health checks over gRPC, rate limits kept in Redis. Each says so when it is configured. All that
# a request passes is the published code.

edit_traefik() {
	local d
	for d in docker kubernetes/{crd,gateway,ingress,ingress-nginx,knative} consulcatalog nomad ecs \
		kv/{consul,etcd,zk,redis}; do
		rm -rf "pkg/provider/$d"
	done
	rm -rf pkg/provider/kubernetes/k8s
	stub docker 'HTTPClientTimeout, RefreshSeconds ptypes.Duration' 'type SwarmProvider = Provider'
	stub kubernetes/gateway 'EntryPoints map[string]Entrypoint' \
		'type Entrypoint struct { Address string; HasHTTPTLSConf bool }'
	stub kubernetes/crd '' 'func (*Provider) FillExtensionBuilderRegistry(any) {}'
	stub kubernetes/ingress 'DefaultRuleSyntax string'
	stub kubernetes/ingress-nginx 'WatchNamespace, WatchNamespaceSelector string'
	for d in kubernetes/knative ecs kv/{etcd,zk,redis}; do
		stub "$d"
	done
	for d in consulcatalog nomad kv/consul; do
		stub "$d" '' 'type ProviderBuilder struct{}' \
			'func (*ProviderBuilder) BuildProviders() []*Provider { return []*Provider{{}} }'
	done

	edit_imports pkg/provider/acme/provider.go lego/v4/providers/dns
	sed -i 's/dns\.NewDNSChallengeProviderByName(.*)/nil, errors.New("not in this build")/' \
		pkg/provider/acme/provider.go

	cat >pkg/types/k8sdetector.go <<-'END'
	package types

	import (
		"context"

		"go.opentelemetry.io/otel/sdk/resource"
	)

	type K8sAttributesDetector struct{}

	func (K8sAttributesDetector) Detect(context.Context) (*resource.Resource, error) {
		return resource.Empty(), nil
	}
	END
	sed -i 's/\*otlptrace\.Exporter/sdktrace.SpanExporter/' pkg/observability/types/tracing.go
	edit_exporter types/tracing.go setup '*OTelTracing' sdktrace.SpanExporter
	edit_exporter types/logs.go build '*OTelLog' otelsdk.Exporter
	edit_exporter metrics/otel.go new '' sdkmetric.Exporter
	rm pkg/observability/logs/aws.go pkg/middlewares/ratelimiter/lua.go
	cat >pkg/observability/metrics/influxdb2.go <<-'END'
	package metrics

	import (
		"context"

		otypes "github.com/traefik/traefik/v3/pkg/observability/types"
	)

	func RegisterInfluxDB2(context.Context, *otypes.InfluxDB2) Registry { return nil }

	func StopInfluxDB2() {}
	END
	cat >pkg/middlewares/ratelimiter/redis_limiter.go <<-'END'
	package ratelimiter

	import (
		"context"
		"errors"
		"time"

		"github.com/rs/zerolog"
		"github.com/traefik/traefik/v3/pkg/config/dynamic"
		"golang.org/x/time/rate"
	)

	func newRedisLimiter(context.Context, rate.Limit, int64, time.Duration, int, dynamic.RateLimit,
		*zerolog.Logger) (limiter, error) {
		return nil, errors.New("not in this build")
	}
	END

	edit_imports pkg/healthcheck/healthcheck.go google.golang.org/grpc
	edit_functions pkg/healthcheck/healthcheck.go checkHealthGRPC
	printf 'func (*ServiceHealthChecker) checkHealthGRPC(context.Context, *url.URL) error {\n%s\n}\n' \
		'return errors.New("not in this build")' >>pkg/healthcheck/healthcheck.go

	sed -i -e '/if staticConfiguration.Spiffe != nil && /,/^\t}/d' \
		-e 's/\*workloadapi\.X509Source$/service.SpiffeX509Source/' cmd/traefik/traefik.go
	edit_imports cmd/traefik/traefik.go workloadapi

	rm pkg/plugins/wasip*.go pkg/observability/logs/wasm.go
	cat >pkg/plugins/middlewarewasm.go <<-'END'
	package plugins

	import "errors"

	func newWasmMiddlewareBuilder(_, _, _ string, _ Settings) (middlewareBuilder, error) {
		return nil, errors.New("not in this build")
	}
	END
}

# edit_exporter FILE VERB RECEIVER TYPE: without the two exporters that it has.
edit_exporter() {
	local file=pkg/observability/$1 kind
	edit_imports "$file" exporters/otlp google.golang.org/grpc '^\t"net"' net/url
	sed -i 's/^\t"context"$/&\n\t"errors"/' "$file"
	for kind in HTTP GRPC; do
		edit_functions "$file" "$2${kind}Exporter"
		printf 'func %s %s%sExporter(%s) (%s, error) { return nil, errors.New("not in this build") }\n' \
			"${3:+($3)}" "$2" $kind "$([[ $3 ]] || echo "context.Context, *otypes.OTel$kind")" "$4" >>"$file"
	done
}

# edit_imports FILE PATTERN...: takes lines that match out of its import list.
edit_imports() {
	local file=$1 p
	shift
	for p in "$@"; do
		sed -i "/^import (/,/^)/{\\|$p|d}" "$file"
	done
}

# edit_functions FILE NAME...: takes functions and methods out of it.
edit_functions() {
	local file=$1 f
	shift
	for f in "$@"; do
		sed -i -E "/^func (\([^)]*\) )?$f\(/,/^}/d" "$file"
	done
}

# stub FOLDER [FIELDS [CODE...]]: a provider that is not in this build.
stub() {
	local dir=pkg/provider/$1 fields=${2:-} name=${1##*/}
	shift $(($# > 1 ? 2 : 1))
	mkdir -p "$dir"
	{
		printf 'package %s\n' "${name//-/}"
		printf 'import (\n"errors"\n'
		[[ $fields != *ptypes* ]] || printf 'ptypes "github.com/traefik/paerser/types"\n'
		printf '"github.com/traefik/traefik/v3/pkg/config/dynamic"\n'
		printf '"github.com/traefik/traefik/v3/pkg/safe"\n)\n'
		printf 'type Provider struct { %s }\n' "$fields"
		printf 'func (*Provider) Init() error { return errors.New("not in this build") }\n'
		printf 'func (*Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return nil }\n'
		printf '%s\n' "$@"
	} >"$dir/stub.go"
}
