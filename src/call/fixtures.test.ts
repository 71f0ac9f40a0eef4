/** Shared by this folder's tests: parties, media, and a half-call whose outputs are collected. */
import type { CallMessage, Format, MediaExchange, Party, Side, Stream } from '../meta/message.ts';
import { HalfCall } from './half-call.ts';
import type { CallTimers, HalfCallOutput } from './half-call-contract.ts';
import type { LegCommand, LegEvent } from './leg.ts';

export const CALL = '00112233445566778899aabbccddeeff';

export const ALICE: Party = {
  number: '4930123456',
  numberType: 'international',
  privacy: 'allowed',
  verified: false,
};
export const BOB: Party = { number: '2001', numberType: 'unknown', privacy: 'allowed', verified: false };

export const PCMA: Format = { id: 0, name: 'PCMA', clockRate: 8000, channels: 1, parameters: [] };
export const PCMU: Format = { id: 1, name: 'PCMU', clockRate: 8000, channels: 1, parameters: [] };

export function audio(...formats: Format[]): Stream {
  return { index: 0, kind: 'audio', refused: false, direction: 'sendrecv', formats };
}

export function offer(by: Side, number: number, branch = 0): MediaExchange {
  return { kind: 'offer', by, number, branch, streams: [audio(PCMA, PCMU)] };
}

export function answer(by: Side, number: number, branch = 0): MediaExchange {
  return { kind: 'answer', by, number, branch, streams: [audio(PCMA)] };
}

export const LEG_SETUP: Extract<LegEvent, { kind: 'setup' }> = {
  kind: 'setup',
  peer: 'trunk',
  caller: ALICE,
  callee: BOB,
  hops: 69,
  priority: 'normal',
  media: offer('originator', 7),
};

export const META_SETUP: Extract<CallMessage, { kind: 'setup' }> = {
  kind: 'setup',
  call: CALL,
  shard: 0,
  streamBase: 8,
  caller: ALICE,
  callee: BOB,
  priority: 'normal',
  hops: 69,
  media: offer('originator', 1),
};

/** Short names of what came out: `leg:alerting`, `tunnel:release`, `state:connected`, `ended:16:caller`, `refused:tunnel:connect:state`. */
export function name(output: HalfCallOutput): string {
  switch (output.kind) {
    case 'leg':
      return `leg:${output.command.kind}`;
    case 'tunnel':
      return `tunnel:${output.message.kind}`;
    case 'state':
      return `state:${output.state}`;
    case 'transfer':
      return 'transfer';
    case 'refused-message':
      return `refused:${output.from}:${output.what}:${output.reason}`;
    case 'ended':
      return `ended:${output.cause}:${output.origin}`;
  }
}

export class Bench {
  readonly half: HalfCall;
  commands: LegCommand[] = [];
  messages: CallMessage[] = [];

  constructor(side: Side, timers?: Partial<CallTimers>) {
    this.half = new HalfCall({
      call: CALL,
      side,
      gateway: side === 'originator' ? 'termination-gateway' : 'relay-gateway',
      peer: 'pbx',
      streamBase: 8,
      ...(timers === undefined ? {} : { timers }),
    });
  }

  leg(event: LegEvent, now = 0): string[] {
    this.half.leg(event, now);
    return this.drain();
  }

  tunnel(message: CallMessage | Record<string, unknown>, now = 0): string[] {
    this.half.tunnel({ call: CALL, ...message } as CallMessage, now);
    return this.drain();
  }

  timeout(now: number): string[] {
    this.half.timeout(now);
    return this.drain();
  }

  drain(): string[] {
    const names: string[] = [];
    for (let out = this.half.poll(); out !== undefined; out = this.half.poll()) {
      if (out.kind === 'leg') this.commands.push(out.command);
      if (out.kind === 'tunnel') this.messages.push(out.message);
      names.push(name(out));
    }
    return names;
  }

  get lastCommand(): LegCommand | undefined {
    return this.commands.at(-1);
  }

  get lastMessage(): CallMessage | undefined {
    return this.messages.at(-1);
  }
}

/** An originator's half-call in conversation, its first offer answered. */
export function connectedCaller(): Bench {
  const bench = new Bench('originator');
  bench.leg(LEG_SETUP);
  bench.tunnel({ kind: 'proceeding' });
  bench.tunnel({ kind: 'connect', branch: 1, media: answer('originator', 1, 1) });
  return bench;
}

export function connectedCallee(): Bench {
  const bench = new Bench('terminator');
  bench.tunnel(META_SETUP);
  bench.leg({ kind: 'connect', branch: 1, media: answer('originator', 1, 1) });
  return bench;
}
