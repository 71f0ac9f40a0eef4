/**
 * Calls per CPU second of H.323-to-SIP against SIP-to-SIP: the same two gateways (real processes on loopback, no media), the same SIP
 * phone called from a SIP and from an H.323 PBX in turn.  npm run bench -- h323-call [--json] [--calls N] [--rate N] [--rounds N]
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { freeTcp, Pair, sleep } from '../test/e2e/pair.ts';
import { DEMO_IP } from '../tools/demo-config.ts';
import { H323Agent } from '../tools/h323-agent.ts';
import { type AgentCall, SipAgent } from '../tools/sip-agent.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    calls: { type: 'string', default: '400' },
    rate: { type: 'string', default: '25' },
    rounds: { type: 'string', default: '3' },
  },
});
const CALLS = Number(values.calls);
const RATE = Number(values.rate);
const ROUNDS = Number(values.rounds);
const HOLD_MS = 300;
/** getconf CLK_TCK on every Linux that Node runs on. */
const TICK_MS = 10;

interface Caller {
  call(number: string): Promise<AgentCall>;
  hangUp(call: AgentCall): Promise<void>;
}

/** utime and stime of both gateways with their media workers, milliseconds. */
function cpuMs(pair: Pair): number {
  let ticks = 0;
  for (const gateway of [pair.gw2, pair.gw1]) {
    for (const pid of [gateway.pid, ...gateway.workers()]) {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    }
  }
  return ticks * TICK_MS;
}

interface Round {
  readonly cpuMsPerCall: number;
  readonly setupMs: number;
  readonly failed: number;
}

async function load(pair: Pair, caller: Caller, calls: number): Promise<Round> {
  const before = cpuMs(pair);
  const setups: number[] = [];
  const running: Promise<void>[] = [];
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) {
    running.push(
      (async () => {
        const call = await caller.call('0600');
        if (call.state !== 'connected') {
          console.error(`not connected: ${call.endStatus}`); // SIP status or Q.850 cause
          return;
        }
        setups.push(call.setupMs);
        await sleep(HOLD_MS);
        await caller.hangUp(call);
      })(),
    );
    const due = ((i + 1) * 1000) / RATE;
    await sleep(Math.max(0, due - Number((process.hrtime.bigint() - start) / 1_000_000n)));
  }
  await Promise.all(running);
  await sleep(500); // what is on its way belongs to this round
  setups.sort((a, b) => a - b);
  return {
    cpuMsPerCall: (cpuMs(pair) - before) / calls,
    setupMs: setups[setups.length >> 1] ?? 0,
    failed: calls - setups.length,
  };
}

function mean(list: readonly number[]): number {
  return Math.round((list.reduce((sum, value) => sum + value, 0) / list.length) * 1000) / 1000;
}

async function main(): Promise<void> {
  const [own, peer, phonePort] = [await freeTcp(), await freeTcp(), await freeTcp()];
  const pair = await Pair.start({
    logLevel: 'warn',
    edit: (name, text, ports) => {
      // A port rests 10 s after a call: room for the rate. Below the ports that the system gives to agents.
      const rtp = name === 'gw2' ? '[16000, 22999]' : '[23000, 29999]';
      const roomy = text
        .replace(/^limits:$/m, 'limits:\n  connectionsPerSource: 5000')
        .replace(/ports: \[\d+, \d+\]/, `ports: ${rtp}`);
      // A phone of our own, which says nothing.
      if (name === 'gw2') return roomy.replace(`port: ${ports.phoneSip}`, `port: ${phonePort}`);
      return roomy.replace(
        /^peers:$/m,
        `h323:\n  listeners: [{ name: cs, transport: tcp, address: "${DEMO_IP}:${own}" }]\n  h245Ports: [27000, 27999]\n` +
          `peers:\n  - { name: old-pbx, protocol: h323, host: "${DEMO_IP}", port: ${peer} }`,
      );
    },
  });
  const agents: { stop(): unknown }[] = [];
  try {
    const { gw2Sip } = pair.ports;
    const answers = () => ({ kind: 'echo' }) as const;
    const common = { ip: DEMO_IP, dialPlan: answers, maxCalls: 5000 };
    agents.push(
      await SipAgent.start({ ...common, name: '4930', port: phonePort, peer: { ip: DEMO_IP, port: gw2Sip } }),
    );
    const h323 = await H323Agent.start({
      ...common,
      name: '300',
      port: peer,
      peer: { ip: DEMO_IP, port: own },
    });
    agents.push(h323);
    const systems = [
      { name: 'sip', caller: pair.pbx as Caller, rounds: [] as Round[] },
      { name: 'h323', caller: h323 as Caller, rounds: [] as Round[] },
    ];
    for (const { caller } of systems) await load(pair, caller, CALLS);
    for (let round = 0; round < ROUNDS; round++) {
      for (const s of systems) {
        const result = await load(pair, s.caller, CALLS);
        s.rounds.push(result);
        console.error(`${s.name}: ${JSON.stringify(result)}`);
      }
    }
    const [sip, other] = systems.map((s) => mean(s.rounds.map((r) => r.cpuMsPerCall)));
    const result = {
      bench: 'h323-call',
      h323CallsPerCpuSecond: Math.round(1000 / other!),
      sipCallsPerCpuSecond: Math.round(1000 / sip!),
      h323ToSip: mean([other! / sip!]),
      cpuMsPerCall: { sip, h323: other },
      setupMs: Object.fromEntries(systems.map((s) => [s.name, mean(s.rounds.map((r) => r.setupMs))])),
      calls: CALLS * ROUNDS,
      callsPerSecond: RATE,
      failed: systems.flatMap((s) => s.rounds).reduce((sum, r) => sum + r.failed, 0),
    };
    if (values.json) console.log(JSON.stringify(result));
    else
      console.log(
        `calls per CPU second of both gateways: H.323 to SIP ${result.h323CallsPerCpuSecond}, ` +
          `SIP to SIP ${result.sipCallsPerCpuSecond}; CPU per call ${result.h323ToSip} x`,
      );
    if (result.failed > 0) process.exitCode = 1;
  } finally {
    for (const agent of agents) await agent.stop();
    await pair.stop();
  }
}

await main();
