import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CutProxy } from './cut-proxy.ts';
import { freeTcp, Pair, sleep } from './pair.ts';

/** Both of GW1's connections go through proxies. */
async function proxied() {
  const [signalling, media] = [await freeTcp(), await freeTcp()];
  const proxies: CutProxy[] = [];
  const pair = await Pair.start({
    edit: (name, text, ports) => {
      if (name === 'gw2') return text;
      return text
        .replace(`:${ports.signalling}"`, `:${signalling}"`)
        .replace(`:${ports.media}"`, `:${media}"`);
    },
    onPorts: async (ports) => {
      proxies.push(
        await CutProxy.start(signalling, ports.signalling),
        await CutProxy.start(media, ports.media),
      );
    },
  });
  const stop = async (): Promise<void> => {
    await pair.stop();
    for (const proxy of proxies) proxy.stop();
  };
  return { pair, signalling: proxies[0]!, media: proxies[1]!, stop };
}

// Mostly waiting, so at the same time.
describe('cuts between the gateways', { concurrency: 2 }, () => {
  test('signalling is cut for 5 s, reset and black-holed: the call and its sound live on, then it can be ended', {
    timeout: 180_000,
  }, async (t) => {
    const { pair, signalling, stop } = await proxied();
    t.after(stop);
    const call = await pair.call();
    await sleep(500);
    for (const mode of ['cut', 'black-hole'] as const) {
      signalling.mode = mode;
      await sleep(1500);
      const match = await call.matchNow(10_000);
      assert.ok(match > 0.6, `${mode}: sound while signalling is away: ${match}`);
      await sleep(1500);
      if (mode === 'cut') {
        const refused = await pair.phone.call('601');
        assert.equal(refused.endStatus, 503, 'a new call is not held');
      }
      signalling.mode = 'pass';
      await pair.tunnelUp();
      assert.ok(call.alive, mode);
      assert.equal((await pair.calls('gw2'))[0]?.state, 'connected');
    }
    assert.ok((await pair.counted('gw2', 'tunnelEvents', 'resumed')) >= 2);
    await call.hangUp();
    await sleep(700);
    assert.equal(call.pbx.state, 'ended');
  });

  test('media is cut for 5 s, reset and black-holed: the sound comes back in the same call', {
    timeout: 180_000,
  }, async (t) => {
    const { pair, media, stop } = await proxied();
    t.after(stop);
    const call = await pair.call();
    await sleep(500);
    for (const mode of ['cut', 'black-hole'] as const) {
      media.mode = mode;
      await sleep(5000);
      assert.ok(call.alive);
      media.mode = 'pass';
      const gap = await call.resumed(15_000);
      assert.ok(gap < 12_000, `${mode}: ${gap} ms`);
      await sleep(500);
      const match = await call.matchNow(10_000);
      assert.ok(match > 0.6, `${mode}: ${match}`);
    }
    await call.hangUp();
    await sleep(700);
    assert.equal(pair.records('gw2')[0]!['result'], 'connected');
  });
});
