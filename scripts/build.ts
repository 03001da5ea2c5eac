// Bundles each process into a file under dist/, and what several share or only load later into others beside it, which is all that
// the container image takes from here.
import { rm } from 'node:fs/promises';
import { build } from 'esbuild';

const ENTRY_POINTS = {
  server: 'src/bin/server.ts',
  syncer: 'src/bin/syncer.ts',
  worker: 'worker/main.ts',
};

// Some dependencies are CommonJS and ask for Node's own modules by require(), which an ES module has to make for itself.
const REQUIRE_BANNER =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: ENTRY_POINTS,
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // Node keeps the text of what it has loaded; names stay, and lines stay short enough to find a place by its number.
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 160,
  splitting: true,
  legalComments: 'none',
  banner: { js: REQUIRE_BANNER },
  logLevel: 'warning',
});
