// The syncer of one virtual cluster, put together: the engine, what the virtual API server dials, DNS, and what has to be in
// the virtual cluster before it is usable.
import { isIPv6 } from 'node:net';
import type { SyncerCertificates } from '../certificates/rotation.ts';
import { createKubeClient } from '../kube/client.ts';
import type { KubeTransport } from '../kube/transport.ts';
import { retry } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Metrics } from '../lib/metrics.ts';
import { bootstrapServices } from './admission/bootstrap-services.ts';
import { createReservations } from './admission/reservations.ts';
import { createAdmissionServer } from './admission/server.ts';
import { mayReadHostWide, readClusterFacts } from './cluster-facts.ts';
import { followDefinitions } from './custom-resource-definitions.ts';
import { followHostServices } from './dns/host-services.ts';
import type { Upstream } from './dns/resolv-conf.ts';
import type { DnsRules } from './dns/rules.ts';
import { createDnsServer } from './dns/server.ts';
import { createAllowList } from './egress/allow-list.ts';
import { createEgressGate } from './egress/gate.ts';
import { createEngine } from './engine/engine.ts';
import { createEngineMetrics } from './engine/engine-metrics.ts';
import { createTeller } from './host-text.ts';
import type { IsolationProfile, NetworkFacts, SyncOptions } from './kind.ts';
import { customKinds, customUpwardKinds } from './kinds/custom-resources/kinds.ts';
import { keepNodeLeases } from './kinds/nodes/leases.ts';
import { podReferences } from './kinds/pods/references.ts';
import { KINDS, UPWARD_KINDS } from './kinds/registry.ts';
import { createKubeletServer } from './kubelet/server.ts';
import { createMetricsRegistration } from './metrics/registration.ts';
import { createMetricsServer } from './metrics/server.ts';
import { createUsageReader } from './metrics/usage.ts';
import { publishNesting, readNesting } from './nesting.ts';
import { register } from './registration.ts';
import { createStatusServer } from './status-server.ts';
import { createStoreSpace, readVolumeSpace } from './store-space.ts';

export interface SyncerDeps {
  cluster: string;
  hostNamespace: string;
  profile: IsolationProfile;
  network: Omit<NetworkFacts, 'controlPlaneAddresses'>;
  sync: SyncOptions;
  dns: DnsRules;
  host: KubeTransport;
  virtual: KubeTransport;
  /** Addresses of the host's API, as far as they are known. */
  hostApiAddresses: readonly string[];
  certificates: SyncerCertificates;
  /** Until the signal aborts, hands certificates that are to be used from then on. Absent: they stay what they are. */
  keepCertificates(
    use: (certificates: SyncerCertificates, signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Writes /etc/hosts of pods with a subdomain. */
  hostsImage?: string;
  /** Of the chart's LimitRange. */
  defaultLimits?: Readonly<Record<string, string>>;
  webhookHosts: readonly string[];
  /** On the volume of the store. Absent: the store is not in this pod. */
  storeFolder: string | undefined;
  /** Addresses of this process's own pod. */
  podIps: readonly string[];
  /** Whom to ask for names outside, unless this is a virtual cluster within another. */
  upstreams: readonly Upstream[];
  /** How many virtual clusters may stand within each other, this one included. */
  maxDepth: number;
  /** Logs, exec, attach and port-forward that may be open at once. */
  maxStreams: number;
  /** Where the API server finds the sockets of its egress selectors. */
  socketFolder: string;
  ports: { dns: number; status: number };
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
}

export interface Syncer {
  /** Runs until the signal aborts and everything has ended; rejects when it cannot begin. */
  run(signal: AbortSignal): Promise<void>;
}

const API_TARGET_PORT = 6443;
const DNS_PORT = 53;
const DNS_TTL_SECONDS = 5;
const PREPARE = { backoff: { baseMs: 200, maxMs: 10_000 }, attempts: Number.POSITIVE_INFINITY };

export function createSyncer(deps: SyncerDeps): Syncer {
  const { logger, metrics, clock, certificates, podIps } = deps;
  const host = createKubeClient(deps.host);
  const virtual = createKubeClient(deps.virtual);

  return {
    async run(signal) {
      const done = { registered: false, bootstrapped: false };
      // What ends one part ends all: a syncer is whole or is started again.
      const failure = new AbortController();
      const running = AbortSignal.any([signal, failure.signal]);
      const nesting = await readNesting({ host, maxDepth: deps.maxDepth, clock }, running);
      const [facts, readsHostWide] = await Promise.all([
        readClusterFacts(
          { ...deps, network: { ...deps.network, controlPlaneAddresses: podIps }, host },
          running,
        ),
        mayReadHostWide({ host, clock }, running),
      ]);
      const engine = createEngine({
        kinds: [
          ...KINDS.filter((kind) => kind.isWanted?.(deps.sync) ?? true),
          ...customKinds(deps.sync.customResources),
        ],
        upwardKinds: [...UPWARD_KINDS, ...customUpwardKinds(deps.sync.customResources)],
        host,
        virtual,
        facts,
        hostApiAddresses: deps.hostApiAddresses,
        readsHostWide,
        logger,
        clock,
        metrics: createEngineMetrics(metrics),
      });
      const { stores } = engine;
      const usage = createUsageReader({ host, facts, stores });
      const metricsApi = createMetricsServer({
        tls: certificates.webhook,
        usage,
        nodes: stores.virtual.nodes,
        logger,
      });
      const metricsRegistration = createMetricsRegistration({ client: virtual, usage, clock, logger });
      const kubelet = createKubeletServer({
        tls: { ...certificates.kubelet, clientCa: certificates.ca },
        stores,
        host: {
          transport: deps.host,
          translateText: (text, hostPod, pod) =>
            createTeller(hostPod, pod, () => podReferences(pod), engine.context)(text),
        },
        usage,
        logger,
        maxStreams: deps.maxStreams,
      });
      const reservations = createReservations({
        client: host,
        stores,
        facts,
        context: engine.context,
        clock,
        logger,
      });
      const admission = createAdmissionServer({ tls: certificates.webhook, reservations, logger });
      const allowList = createAllowList(deps.webhookHosts);
      const egress = createEgressGate({
        stores,
        allowList,
        kubelet,
        admission,
        metrics: metricsApi,
        logger,
      });
      const dns = createDnsServer({
        zone: {
          domain: facts.dns.domain,
          ttlSeconds: DNS_TTL_SECONDS,
          serial: Math.floor(clock.nowMs() / 1000),
        },
        rules: deps.dns,
        hostServiceAddresses: followHostServices(deps.dns, engine),
        deniedCidrs: deps.network.deniedCidrs,
        stores: stores.virtual,
        hasSynced: engine.hasSynced,
        upstreams: nesting.upstreamDns ? [{ address: nesting.upstreamDns, port: DNS_PORT }] : deps.upstreams,
        logger,
        clock,
      });
      const { storeFolder } = deps;
      const space =
        storeFolder === undefined
          ? undefined
          : createStoreSpace({
              client: virtual,
              readSpace: () => readVolumeSpace(storeFolder),
              clock,
              logger,
            });
      const status = createStatusServer({
        metrics,
        readiness: {
          synced: engine.hasSynced,
          registered: () => done.registered,
          services: () => done.bootstrapped,
          storeRoom: () => space?.hasRoom ?? true,
        },
      });

      async function prepare(): Promise<void> {
        const api = { ...facts.api, targetPort: API_TARGET_PORT };
        const [podIp = ''] = podIps;
        await Promise.all([
          Promise.all([
            register({ client: virtual, ca: certificates.ca, clock }, running),
            publishNesting({ client: virtual, nesting, dns: facts.dns, clock }, running),
          ]).then(() => {
            done.registered = true;
          }),
          bootstrapServices({ client: virtual, api, dns: facts.dns, podIp, clock }, running).then(() => {
            done.bootstrapped = true;
          }),
        ]);
        logger.info('the virtual cluster is usable');
      }

      async function useCertificates({ ca, syncer, ...own }: SyncerCertificates, signal: AbortSignal) {
        deps.virtual.renew({ ca, ...syncer });
        kubelet.renew({ ...own.kubelet, clientCa: ca });
        admission.renew(own.webhook);
        metricsApi.renew(own.webhook);
        await register({ client: virtual, ca, clock }, signal);
      }

      /** An API server that is only coming up refuses for many reasons; none is worth ending what runs already. */
      const isRetryable = (error: unknown) => {
        logger.warn({ reason: errorMessage(error) }, 'the virtual cluster is not prepared yet');
        return true;
      };

      await Promise.all([
        egress.listen('cluster', `${deps.socketFolder}/egress-cluster.sock`),
        egress.listen('controlplane', `${deps.socketFolder}/egress-controlplane.sock`),
        status.listen(deps.ports.status),
      ]);
      const dnsServer = await dns.listen({
        host: podIps.some((address) => isIPv6(address)) ? '::' : '0.0.0.0',
        port: deps.ports.dns,
      });
      const preparing = retry(prepare, { ...PREPARE, isRetryable, signal: running, clock });
      const serving = preparing.then(() => metricsRegistration.run(running));
      const leases = preparing.then(() =>
        keepNodeLeases({ client: virtual, nodes: stores.virtual.nodes, clock, logger }, running),
      );
      try {
        await Promise.all(
          [
            serving,
            leases,
            engine.run(running),
            reservations.run(running),
            followDefinitions(
              { host, virtual, resources: deps.sync.customResources, logger, clock },
              running,
            ),
            deps.keepCertificates(useCertificates, running),
            // The policy waits until the API server is there.
            preparing.then(() => space?.run(running)),
          ].map((part) =>
            part.catch((error: unknown) => {
              if (signal.aborted) return;
              failure.abort(error);
              throw error;
            }),
          ),
        );
      } finally {
        admission.close();
        metricsApi.close();
        await Promise.all([egress.close(), kubelet.close(), dnsServer.close(), status.close()]);
      }
    },
  };
}
