// The Environment resource: what is wanted (`spec`) and what was seen (`status`). The CRD in charts/mayfly says the
// same to the API server. Only the server and people write `spec`; only the reconcile runner writes `status`.
import type { KubeObject, ResourceType } from '../kube/resource.ts';

export const ENVIRONMENTS: ResourceType = {
  group: 'mayfly.dev',
  version: 'v1alpha1',
  plural: 'environments',
  kind: 'Environment',
  namespaced: true,
};

/** Kept on every Environment until its host objects are gone and the pull request was told. */
export const TEARDOWN_FINALIZER = 'mayfly.dev/teardown';

export interface Environment extends KubeObject {
  spec: EnvironmentSpec;
  status?: EnvironmentStatus;
}

export interface EnvironmentSpec {
  /** Who asked: `token:<name>` of an API token, or `github:<owner>/<repository>`. The ownership check reads this. */
  owner: string;
  /** Present when the environment belongs to a pull request; what to deploy is then read from the repository. */
  pullRequest?: PullRequestSource;
  /** What to deploy when there is no pull request. Absent in both: an empty cluster. */
  app?: ImageApp;
  /** Minor version of Kubernetes inside: `1.34`. */
  kubernetesVersion: string;
  /** RFC 3339, by the service's clock. Past it the environment is deleted. */
  expiresAt: string;
}

export interface PullRequestSource {
  /** `owner/name`, for people; `repositoryId` is what identifies it (names can change hands). */
  repository: string;
  repositoryId: number;
  installationId: number;
  number: number;
  /** The head commit wanted, 40 hex digits. */
  commit: string;
}

/** A Deployment and a Service of one image. */
export interface ImageApp {
  image: string;
  port: number;
}

export type EnvironmentPhase = 'Pending' | 'Provisioning' | 'Deploying' | 'Ready' | 'Failed' | 'Terminating';

export interface EnvironmentStatus {
  phase: EnvironmentPhase;
  /** `metadata.generation` that the last finished run was for. */
  observedGeneration?: number;
  /** The commit that is served now. */
  commit?: string;
  /** Digest of what was deployed, and of the store that it was deployed to: the deploy is done while it stays the same. */
  deployed?: string;
  conditions: Condition[];
  /** Timings of the newest run of each step, in order. */
  steps: StepTiming[];
  /** Where on the host it lives. The UID guards the teardown. */
  host?: { namespace: string; namespaceUid?: string };
  /** Where the previews answer; the first is the main one. */
  endpoints?: PreviewEndpoint[];
  /** The one comment on the pull request. */
  commentId?: number;
}

export interface PreviewEndpoint {
  /** Of `expose[].name`; empty for the main one. */
  name: string;
  url: string;
  /** The first label of the host name, as it arrives in the Host header. */
  hostLabel: string;
  /** Where the server connects: the Service's cluster IP, equal inside and on the host. */
  clusterIp: string;
  port: number;
}

export interface Condition {
  type: ConditionType;
  status: 'True' | 'False' | 'Unknown';
  /** PascalCase, stable. */
  reason: string;
  /** For people: names the object and the reason. */
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
}

export type ConditionType = 'Provisioned' | 'Deployed' | 'Published' | 'Reported' | 'Ready' | 'TornDown';

export interface StepTiming {
  name: string;
  startedAt: string;
  durationMs?: number;
}
