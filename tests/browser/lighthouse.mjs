// Lighthouse, as a phone and as a desktop: accessibility and best practices must be perfect. How
// fast the feed is shown depends on what else the machine does, so that is printed as a figure.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import test, { after, before } from 'node:test';
import { start } from './browser.mjs';
import { origin } from './people.mjs';
import { lighthouse } from './tools.mjs';
import { settle } from './village.mjs';

const FAST = 0.95;
const PRESETS = {
  phone: {},
  desktop: {
    formFactor: 'desktop',
    screenEmulation: { mobile: false, width: 1350, height: 940, deviceScaleFactor: 1, disabled: false },
    throttling: { rttMs: 40, throughputKbps: 10_240, cpuSlowdownMultiplier: 1, requestLatencyMs: 0, downloadThroughputKbps: 0, uploadThroughputKbps: 0 },
  },
};

async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

let [browser, port, run, village] = [];
before(async () => {
  port = await freePort();
  browser = await start([`--remote-debugging-port=${port}`]);
  run = await lighthouse();
  village = await settle();
});
after(() => browser.close());

// What a category misses, for messages.
function missed({ categories, audits }, category) {
  const refs = categories[category].auditRefs.filter(({ id, weight }) => weight > 0 && (audits[id].score ?? 1) < 1);
  return refs.map(({ id }) => `${id}: ${audits[id].title} ${JSON.stringify(audits[id].details?.items ?? []).slice(0, 400)}`);
}

for (const [preset, settings] of Object.entries(PRESETS)) {
  test(`lighthouse, as a ${preset}`, async () => {
    const [maya] = village.people;
    const pages = {
      welcome: ['/', null], feed: ['/', maya], post: [`/p/${village.posts[2].id}`, maya], profile: ['/u/maya.brooks', maya],
    };
    for (const [name, [path, person]] of Object.entries(pages)) {
      const timed = name === 'feed';
      const { lhr } = await run(`${origin}${path}`, {
        port, logLevel: 'error', ...settings,
        onlyCategories: ['accessibility', 'best-practices', ...timed ? ['performance'] : []],
        // Of pages whose speed is not asked for, nothing is slowed down.
        throttlingMethod: timed ? 'simulate' : 'provided',
        extraHeaders: person ? { Cookie: `session=${person.token}` } : {},
      });
      assert.equal(lhr.runtimeError, undefined, JSON.stringify(lhr.runtimeError));
      assert.equal(new URL(lhr.finalDisplayedUrl).pathname, path);
      for (const category of ['accessibility', 'best-practices']) {
        assert.equal(lhr.categories[category].score, 1, `${name}, ${category}:\n${missed(lhr, category).join('\n')}`);
      }
      if (timed) {
        const { score } = lhr.categories.performance;
        const parts = ['first-contentful-paint', 'largest-contentful-paint', 'total-blocking-time', 'cumulative-layout-shift'];
        const values = parts.map((id) => `${id} ${lhr.audits[id].displayValue}`).join(', ');
        console.log(`figure lighthouse_performance_${name}_${preset} ${score} (bar >= ${FAST}; ${values})`);
        if (score < FAST) console.log(`figure lighthouse_performance_${name}_${preset}_misses ${missed(lhr, 'performance').join('; ')}`);
      }
    }
  });
}
