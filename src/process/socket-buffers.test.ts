import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bufferHint } from './socket-buffers.ts';

test('where the kernel grants less than was asked, the hint names the setting to raise and its value', () => {
  assert.equal(bufferHint({ asked: 4096, receive: 4096, send: 4096 }), undefined);
  assert.match(
    bufferHint({ asked: 4096, receive: 1024, send: 4096 })!,
    /^sysctl -w net\.core\.rmem_max=4096,/,
  );
  const both = bufferHint({ asked: 4096, receive: 1024, send: 2048 })!;
  assert.match(both, /net\.core\.rmem_max=4096 net\.core\.wmem_max=4096,/);
});
