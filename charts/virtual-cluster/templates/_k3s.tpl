{{/* The control plane as one process of k3s: a server without agent, scheduler and anything that k3s adds to Kubernetes. */}}

{{- define "virtual-cluster.k3sArguments" -}}
{{- $data := "/var/lib/rancher/k3s" -}}
- server
- --advertise-address=$(POD_IP)
# The names that the API server answers to, which hold addresses that the host gives.
- --config={{ $data }}/server/tls/config.yaml
- --data-dir={{ $data }}
{{- if eq .Values.store.type "etcd" }}
- --datastore-endpoint={{ include "virtual-cluster.etcdEndpoints" . }}
{{- if .Values.store.etcd.secretName }}
{{- $folder := include "virtual-cluster.etcdFolder" . }}
- --datastore-cafile={{ $folder }}/ca.crt
- --datastore-certfile={{ $folder }}/tls.crt
- --datastore-keyfile={{ $folder }}/tls.key
{{- end }}
{{- end }}
{{- range $component := list "coredns" "local-storage" "metrics-server" "runtimes" "servicelb" "traefik" }}
- --disable={{ $component }}
{{- end }}
- --disable-agent
- --disable-cloud-controller
- --disable-helm-controller
- --disable-kube-proxy
- --disable-network-policy
- --disable-scheduler
# The API server's connections go through the syncer, by a configuration of ours.
- --egress-selector-mode=disabled
- --flannel-backend=none
- --https-listen-port=6443
- --service-cidr={{ include "virtual-cluster.serviceCIDR" . }}
- --token-file={{ $data }}/server/tls/token
- --write-kubeconfig={{ $data }}/kubeconfig
# k3s turns anonymous requests off; RBAC leaves them the health endpoints, which probes ask.
- --kube-apiserver-arg=anonymous-auth=true
- --kube-apiserver-arg=egress-selector-config-file=/etc/mayfly/configuration/egress.yaml
{{- if eq .Values.store.type "etcd" }}
- --kube-apiserver-arg=etcd-prefix={{ include "virtual-cluster.etcdPrefix" . }}
{{- end }}
# As without k3s: kubelets are reached through a Unix socket of this pod.
- --kube-apiserver-arg=kubelet-certificate-authority=
- --kube-apiserver-arg=kubelet-client-certificate=/etc/mayfly/certificates/apiserver-kubelet-client.crt
- --kube-apiserver-arg=kubelet-client-key=/etc/mayfly/certificates/apiserver-kubelet-client.key
- --kube-apiserver-arg=kubelet-preferred-address-types=InternalIP
- --kube-controller-manager-arg=controllers={{ include "virtual-cluster.controllers" . }}
- --kube-controller-manager-arg=kube-api-burst=2000
- --kube-controller-manager-arg=kube-api-qps=1000
- --kube-controller-manager-arg=use-service-account-credentials=false
{{- end -}}

{{- define "virtual-cluster.k3sContainer" -}}
- name: k3s
  image: {{ .Values.k3s.image }}
  imagePullPolicy: IfNotPresent
  command: [/bin/k3s]
  args:
    {{- include "virtual-cluster.k3sArguments" . | nindent 4 }}
  env:
    - name: POD_IP
      valueFrom:
        fieldRef: { fieldPath: status.podIP }
    - name: GOGC
      value: "40"
  ports:
    - { name: https, containerPort: 6443, protocol: TCP }
  {{- include "virtual-cluster.apiProbes" . | nindent 2 }}
  securityContext:
    {{- include "virtual-cluster.securityContext" . | nindent 4 }}
  resources:
    {{- toYaml .Values.resources.kubeApiserver | nindent 4 }}
  volumeMounts:
    - { name: configuration, mountPath: /etc/mayfly/configuration, readOnly: true }
    - { name: certificates-kube-apiserver, mountPath: /etc/mayfly/certificates, readOnly: true }
    # What k3s unpacks and writes; of it, the database is worth keeping.
    - { name: k3s, mountPath: /var/lib/rancher/k3s }
    {{- if eq .Values.store.type "kine" }}
    - { name: store, mountPath: /var/lib/rancher/k3s/server/db }
    {{- end }}
    # k3s takes authorities that it finds there, and puts its own certificates beside them.
    - { name: certificates-k3s, mountPath: /var/lib/rancher/k3s/server/tls }
    - { name: k3s, mountPath: /tmp, subPath: tmp }
    {{- include "virtual-cluster.etcdMount" . | nindent 4 }}
    - { name: egress-sockets, mountPath: /run/mayfly }
{{- end -}}
