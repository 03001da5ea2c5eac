// The import rules of the house (ARCHITECTURE.md, "Code map"): who may import whom. Everything not listed is refused.
const MAY_IMPORT = {
  lib: [],
  config: ['lib'],
  api: [],
  kube: ['lib'],
  environments: ['kube', 'lib'],
  queue: ['kube', 'lib'],
  github: ['lib'],
  certificates: ['kube', 'lib'],
  http: ['api', 'environments', 'queue', 'github', 'kube', 'lib'],
  syncer: ['certificates', 'kube', 'lib'],
  cli: ['api', 'lib'],
  dashboard: ['api'],
};

const houseRules = Object.entries(MAY_IMPORT).map(([room, allowed]) => ({
  name: `${room}-imports`,
  comment: `src/${room} imports only ${['itself', ...allowed].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${room}/`, pathNot: '\\.test\\.ts$' },
  to: { path: '^(src|worker|test)/', pathNot: `^src/(${[room, ...allowed].join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...houseRules,
    {
      name: 'worker-imports',
      comment: 'the worker uses everything in src but what only other processes run',
      severity: 'error',
      from: { path: '^worker/' },
      to: { path: '^src/(http|syncer|cli|dashboard|bin)/' },
    },
    {
      name: 'config-only-at-entry-points',
      comment: 'only entry points read configuration; everything else is given what it needs',
      severity: 'error',
      from: {
        path: '^(src|worker)/',
        pathNot: ['^src/(bin|config)/', '^worker/main\\.ts$', '\\.test\\.ts$'],
      },
      to: { path: '^src/config/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'production-without-tests',
      comment: 'nothing that ships may import tests or their support',
      severity: 'error',
      from: { path: '^(src|worker)/', pathNot: '\\.test\\.ts$' },
      to: { path: ['^test/', '\\.test\\.ts$'] },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-development-dependencies-in-production',
      severity: 'error',
      from: { path: '^(src|worker)/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
