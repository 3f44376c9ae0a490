package interop

import (
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"sigs.k8s.io/yaml"

	// What stands under "@type".
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// TestEnvoy holds the configuration of Envoy against its own types and their
// rules. Envoy itself is not there to be run.
func TestEnvoy(t *testing.T) {
	t.Parallel()
	config := fences(t, "../docs/proxies.md", "yaml")[0]
	if err := checkEnvoy(config); err != nil {
		t.Error(err)
	}
	for _, mistake := range []struct{ from, to string }{
		{"upgrade_configs", "upgrade_config"},
		{"stream_idle_timeout: 60s", "stream_idle_timeout: 1 minute"},
		{"v3.Router", "v3.Ruter"},
		{"port_value: 443", "port_value: 65536"},
		{"stat_prefix: web", `stat_prefix: ""`},
		{"cluster: app, ", ""},
	} {
		if checkEnvoy(edit(t, config, mistake.from, mistake.to)) == nil {
			t.Errorf("with %q in place of %q, nothing is wrong", mistake.to, mistake.from)
		}
	}
}

func checkEnvoy(config string) error {
	json, err := yaml.YAMLToJSONStrict([]byte(config))
	if err != nil {
		return err
	}
	var bootstrap bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(json, &bootstrap); err != nil {
		return err
	}
	// Messages validate those in them, but for the ones behind an "@type".
	return protorange.Range(bootstrap.ProtoReflect(), func(p protopath.Values) error {
		last := p.Index(-1)
		if kind := last.Step.Kind(); kind != protopath.RootStep && kind != protopath.AnyExpandStep {
			return nil
		}
		m, ok := last.Value.Interface().(protoreflect.Message)
		if !ok {
			return nil
		}
		if v, ok := m.Interface().(interface{ ValidateAll() error }); ok {
			return v.ValidateAll()
		}
		return nil
	})
}
