// pulumi-resource-libvirt is the plugin behind the pulumi-libvirt SDK: the Terraform provider for libvirt, bridged.
package main

import (
	"github.com/dmacvicar/terraform-provider-libvirt/libvirt"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	sdkv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

const (
	name    = "libvirt"
	version = "0.5.4" // the release of the SDK that asks for this plugin
)

// resources gives each Terraform resource the module and the name it has in the SDK: libvirt:index/<module>:<name>.
var resources = map[string][2]string{
	"libvirt_cloudinit_disk": {"cloudInitDisk", "CloudInitDisk"},
	"libvirt_combustion":     {"combustion", "Combustion"},
	"libvirt_domain":         {"domain", "Domain"},
	"libvirt_ignition":       {"ignition", "Ignition"},
	"libvirt_network":        {"network", "Network"},
	"libvirt_pool":           {"pool", "Pool"},
	"libvirt_volume":         {"volume", "Volume"},
}

func main() {
	info := tfbridge.ProviderInfo{
		P:            sdkv2.NewProvider(libvirt.Provider()),
		Name:         name,
		Version:      version,
		Resources:    map[string]*tfbridge.ResourceInfo{},
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
	}
	for resource, token := range resources {
		info.Resources[resource] = &tfbridge.ResourceInfo{
			Tok: tokens.Type(name + ":index/" + token[0] + ":" + token[1]),
		}
	}
	info.SetAutonaming(255, "-")
	tfbridge.Main(name, version, info, []byte(`{"name":"`+name+`","version":"`+version+`"}`))
}
