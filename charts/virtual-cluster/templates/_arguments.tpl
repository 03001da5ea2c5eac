{{/* What the programs of the control plane are started with. */}}

{{/* Folder of the files with which the API server is known to an etcd. */}}
{{- define "virtual-cluster.etcdFolder" -}}
/etc/mayfly/etcd
{{- end -}}

{{/* An etcd may be shared: what others keep there is below other prefixes. */}}
{{- define "virtual-cluster.etcdPrefix" -}}
{{- printf "/mayfly/%s/%s" .Release.Namespace (include "virtual-cluster.name" .) -}}
{{- end -}}

{{- define "virtual-cluster.etcdEndpoints" -}}
{{- .Values.store.etcd.endpoints | join "," | required "store.etcd.endpoints: name the etcd to keep the store in" -}}
{{- end -}}

{{- define "virtual-cluster.storeArguments" -}}
{{- if eq .Values.store.type "etcd" -}}
- --etcd-servers={{ include "virtual-cluster.etcdEndpoints" . }}
- --etcd-prefix={{ include "virtual-cluster.etcdPrefix" . }}
{{- if .Values.store.etcd.secretName }}
{{- $folder := include "virtual-cluster.etcdFolder" . }}
- --etcd-cafile={{ $folder }}/ca.crt
- --etcd-certfile={{ $folder }}/tls.crt
- --etcd-keyfile={{ $folder }}/tls.key
{{- end -}}
{{- else -}}
- --etcd-servers=unix:///run/kine/kine.sock
{{- end -}}
{{- end -}}

{{- define "virtual-cluster.kubeApiserverArguments" -}}
{{- $certificates := "/etc/mayfly/certificates" -}}
- --advertise-address=$(POD_IP)
# Privileged pods are refused by Pod Security and by the syncer, which can say why; this flag would only hide them.
- --allow-privileged=true
- --api-audiences=https://kubernetes.default.svc.cluster.local
- --authentication-config=/etc/mayfly/configuration/authentication.yaml
- --authorization-mode=Node,RBAC
- --client-ca-file={{ $certificates }}/ca.crt
- --egress-selector-config-file=/etc/mayfly/configuration/egress.yaml
{{- if semverCompare ">=1.30.0-0 <1.35.0-0" (include "virtual-cluster.kubernetesVersion" .) }}
# WebSockets of exec and attach go on to the host's API server, which translates them for kubelets as this one would: once is
# enough, and a translation tells its client of success when the syncer dies under it.
- --feature-gates=TranslateStreamCloseWebsocketRequests=false
{{- end }}
{{ include "virtual-cluster.storeArguments" . }}
# There is no --kubelet-certificate-authority: kubelets are reached through a Unix socket of this pod, under addresses that
# come and go with the host's nodes.
- --kubelet-client-certificate={{ $certificates }}/apiserver-kubelet-client.crt
- --kubelet-client-key={{ $certificates }}/apiserver-kubelet-client.key
- --kubelet-preferred-address-types=InternalIP
- --profiling=false
- --proxy-client-cert-file={{ $certificates }}/front-proxy-client.crt
- --proxy-client-key-file={{ $certificates }}/front-proxy-client.key
- --requestheader-allowed-names=front-proxy-client
- --requestheader-client-ca-file={{ $certificates }}/front-proxy-ca.crt
- --requestheader-extra-headers-prefix=X-Remote-Extra-
- --requestheader-group-headers=X-Remote-Group
- --requestheader-username-headers=X-Remote-User
- --secure-port=6443
- --service-account-issuer=https://kubernetes.default.svc.cluster.local
# Without it, whoever asks where the issuer's keys are is led to the address of this pod, which is in no certificate.
- --service-account-jwks-uri=https://kubernetes.default.svc.cluster.local/openid/v1/jwks
- --service-account-key-file={{ $certificates }}/service-account.pub
- --service-account-signing-key-file={{ $certificates }}/service-account.key
- --service-cluster-ip-range={{ include "virtual-cluster.serviceCIDR" . }}
- --tls-cert-file={{ $certificates }}/apiserver.crt
- --tls-private-key-file={{ $certificates }}/apiserver.key
{{- end -}}

{{/* The controllers that own nodes and volumes are off: the host has those, and the syncer tells of them. */}}
{{- define "virtual-cluster.controllers" -}}
{{- $off := list
  "node-ipam-controller"
  "node-lifecycle-controller"
  "persistentvolume-attach-detach-controller"
  "persistentvolume-binder-controller"
  "persistentvolume-expander-controller"
  "ttl-controller"
-}}
*,-{{ $off | join ",-" }}
{{- end -}}

{{- define "virtual-cluster.kubeControllerManagerArguments" -}}
{{- $certificates := "/etc/mayfly/certificates" -}}
- --cluster-name={{ include "virtual-cluster.name" . }}
- --cluster-signing-cert-file={{ $certificates }}/ca.crt
- --cluster-signing-key-file={{ $certificates }}/ca.key
- --controllers={{ include "virtual-cluster.controllers" . }}
# The default of 20 requests a second makes the controllers start one after the other, for seconds.
- --kube-api-burst=2000
- --kube-api-qps=1000
- --kubeconfig=/etc/mayfly/configuration/controller-manager.kubeconfig
- --leader-elect=false
- --profiling=false
- --root-ca-file={{ $certificates }}/ca.crt
# Serves nothing: nobody asks it, and a certificate made at every start would cost time.
- --secure-port=0
- --service-account-private-key-file={{ $certificates }}/service-account.key
# One identity for all controllers: a ServiceAccount and a token for each of thirty would have to be made before they start.
- --use-service-account-credentials=false
{{- end -}}

{{- define "virtual-cluster.healthPath" -}}
{{- printf "%s?exclude=poststarthook/rbac/bootstrap-roles&exclude=poststarthook/scheduling/bootstrap-system-priority-classes" . | quote -}}
{{- end -}}

{{- define "virtual-cluster.syncerEnvironment" -}}
- name: MAYFLY_CLUSTER
  value: {{ include "virtual-cluster.name" . }}
- name: MAYFLY_NAMESPACE
  valueFrom:
    fieldRef: { fieldPath: metadata.namespace }
- name: MAYFLY_LOG_LEVEL
  value: {{ .Values.syncer.logLevel }}
{{- end -}}

{{- define "virtual-cluster.certificatesEnvironment" -}}
- name: MAYFLY_CERTIFICATES_LIFETIME
  value: {{ .Values.certificates.lifetime }}
- name: MAYFLY_CERTIFICATES_EXTRA_NAMES
  value: {{ .Values.certificates.extraNames | join "," | quote }}
{{- end -}}
