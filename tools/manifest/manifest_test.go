// Package manifest checks docs/examples/kubernetes.yaml against the types of Kubernetes. It
// is a module of its own, so that nothing else depends on them.
package manifest

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

func TestDaemonSet(t *testing.T) {
	text, err := os.ReadFile("../../docs/examples/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var set appsv1.DaemonSet
	if err := yaml.UnmarshalStrict(text, &set); err != nil {
		t.Fatal(err)
	}
	if set.TypeMeta != (metav1.TypeMeta{Kind: "DaemonSet", APIVersion: "apps/v1"}) {
		t.Errorf("it is %+v", set.TypeMeta)
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || selector.Empty() || !selector.Matches(labels.Set(set.Spec.Template.Labels)) {
		t.Errorf("the selector %v does not match the labels of the pods %v: %v", selector, set.Spec.Template.Labels, err)
	}
	pod := set.Spec.Template.Spec
	if !pod.HostIPC || !pod.HostPID || len(pod.Containers) != 1 {
		t.Fatalf("%+v", pod)
	}
	c := pod.Containers[0]
	if s := c.SecurityContext; s.RunAsUser == nil || *s.RunAsUser != 0 || !slices.Contains(s.Capabilities.Add, "SYS_PTRACE") {
		t.Errorf("%+v", c.SecurityContext)
	}
	if out, err := exec.Command("sh", "-n", "-c", c.Command[2]).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
