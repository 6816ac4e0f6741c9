// The packages that ./install puts into the target directory, away from the sources; the test
// that starts these scripts says where that is.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const installed = join(process.env.BROWSER_TOOLS ?? '', 'package.json');
if (!process.env.BROWSER_TOOLS || !existsSync(installed)) {
  throw new Error('the tools of the browser tests are missing: run tests/browser/install');
}
const require = createRequire(installed);

export const { chromium } = require('playwright-core');
export const { AxeBuilder } = require('@axe-core/playwright');

export async function lighthouse() {
  return (await import(pathToFileURL(require.resolve('lighthouse')))).default;
}
