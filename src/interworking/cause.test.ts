import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causeToStatus, statusToCause } from './cause.ts';

test('RFC 3398 8.2.6.1: status to cause', () => {
  const table: [number, number][] = [
    [400, 41],
    [401, 21],
    [403, 21],
    [404, 1],
    [405, 63],
    [406, 79],
    [407, 21],
    [408, 102],
    [410, 22],
    [413, 127],
    [415, 79],
    [416, 127],
    [420, 127],
    [480, 18],
    [481, 41],
    [482, 25],
    [483, 25],
    [484, 28],
    [485, 1],
    [486, 17],
    [500, 41],
    [501, 79],
    [502, 38],
    [503, 41],
    [504, 102],
    [505, 127],
    [513, 127],
    [600, 17],
    [603, 21],
    [604, 1],
  ];
  for (const [status, cause] of table) assert.equal(statusToCause(status), cause, `${status}`);
});

test('RFC 3398 7.2.4.1: cause to status', () => {
  const table: [number, number][] = [
    [1, 404],
    [2, 404],
    [3, 404],
    [17, 486],
    [18, 408],
    [19, 480],
    [20, 480],
    [21, 403],
    [22, 410],
    [23, 410],
    [26, 404],
    [27, 502],
    [28, 484],
    [29, 501],
    [31, 480],
    [34, 503],
    [38, 503],
    [41, 503],
    [42, 503],
    [47, 503],
    [55, 403],
    [57, 403],
    [58, 503],
    [65, 488],
    [70, 488],
    [79, 501],
    [87, 403],
    [102, 504],
    [111, 500],
    [127, 500],
  ];
  for (const [cause, status] of table) assert.equal(causeToStatus(cause), status, `${cause}`);
});

test('RFC 3326: a Q.850 Reason wins over the status, a senseless one does not', () => {
  assert.equal(statusToCause(503, 17), 17);
  assert.equal(statusToCause(486, 0), 17);
  assert.equal(statusToCause(486, 128), 17);
  assert.equal(statusToCause(486, Number.NaN), 17);
});

test('every status gives a cause 1..127 and every cause a failure status', () => {
  for (let status = 300; status < 700; status++) {
    const cause = statusToCause(status);
    assert.ok(cause >= 1 && cause <= 127, `${status}`);
  }
  for (let cause = 1; cause < 128; cause++) {
    const status = causeToStatus(cause);
    assert.ok(status >= 400 && status < 700, `${cause}`);
    assert.ok(
      ![401, 407, 422, 423].includes(status),
      'no status that asks the far end to try again with more',
    );
  }
});

test('what the caller should hear survives the way over Meta', () => {
  for (const status of [404, 484, 486, 488, 410, 403, 483, 501]) {
    assert.equal(causeToStatus(statusToCause(status)), status);
  }
});
