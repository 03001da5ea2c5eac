// A repository whose pull requests get previews: a page that says which version it is, served from a config map.
import type { Files } from './github/repository-storage.ts';

const IMAGE = 'docker.io/library/busybox:1.35.0';

/** The files of a commit whose preview shows `text`. */
export function shopFiles(text: string, { ttl = '1h' }: { ttl?: string } = {}): Files {
  return {
    '.mayfly.yaml': [
      'version: 1',
      `environment: { ttl: ${ttl} }`,
      'deploy: { manifests: deploy/app.yaml }',
      'expose: [{ service: web, port: 80 }]',
      'ready: { path: /index.html, timeout: 2m }',
      '',
    ].join('\n'),
    'deploy/app.yaml': appManifest(text),
  };
}

/** The same with a container that ends at once, saying why. */
export function brokenShopFiles(lastWords: string): Files {
  const broken = appManifest('never shown').replace(
    'exec httpd',
    `echo "${lastWords}" >&2; exit 3; exec httpd`,
  );
  return { ...shopFiles('never shown'), 'deploy/app.yaml': broken };
}

function appManifest(text: string): string {
  return `
apiVersion: v1
kind: ConfigMap
metadata: { name: page }
data: { index.html: ${JSON.stringify(text)} }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata:
      labels: { app: web }
      annotations: { page: ${JSON.stringify(text)} }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: ${IMAGE}
          command: [sh, -c, 'exec httpd -f -p 8080 -h /page']
          ports: [{ containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /index.html, port: 8080 }, periodSeconds: 1 }
          resources: { requests: { cpu: 10m, memory: 16Mi } }
          volumeMounts: [{ name: page, mountPath: /page }]
      volumes: [{ name: page, configMap: { name: page } }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports: [{ port: 80, targetPort: 8080 }]
`;
}
