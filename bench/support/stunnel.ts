/** stunnel (Debian: stunnel4) as one TLS connection across the WAN: what an administrator would put up by hand. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority, issueCertificate } from '../../src/store/pki.ts';
import { sleep } from '../../test/lab/run.ts';
import type { VoiceWay, Wan } from '../../test/lab/wan.ts';
import { haveProgram } from './install.ts';

const ACROSS = 7071;
const CONNECT = 7072;
const LISTEN = 7073;

/** Installs it where it is missing; false where it is not to be had. */
export function haveStunnel(): boolean {
  return haveProgram('stunnel', 'stunnel4');
}

export class Stunnel {
  readonly #children: ChildProcess[] = [];

  async start(wan: Wan, folder: string, calls: number): Promise<VoiceWay> {
    const authority = await createAuthority('bench');
    const made = await issueCertificate(authority, { use: 'termination', dnsNames: ['stunnel.example'] });
    const pem = join(folder, 'stunnel.pem');
    writeFileSync(pem, `${made.key}\n${made.certificate}\n`, { mode: 0o600 });
    const common = 'foreground = yes\npid =\ndebug = 3\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n';
    const server = `${common}cert = ${pem}\n[voice]\naccept = ${wan.b.ip}:${ACROSS}\nconnect = 127.0.0.1:${LISTEN}\n`;
    const client = `${common}client = yes\n[voice]\naccept = 127.0.0.1:${CONNECT}\nconnect = ${wan.b.ip}:${ACROSS}\n`;
    this.#spawn(wan.b.namespace, folder, 'server', server);
    this.#spawn(wan.a.namespace, folder, 'client', client);
    await sleep(500);
    return { kind: 'stream', calls, connectPort: CONNECT, listenPort: LISTEN };
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await gone;
      }),
    );
  }

  #spawn(namespace: string, folder: string, name: string, configuration: string): void {
    const file = join(folder, `stunnel-${name}.conf`);
    writeFileSync(file, configuration);
    const command = ['-r', '1', 'ip', 'netns', 'exec', namespace, 'stunnel', file];
    this.#children.push(spawn('chrt', command, { stdio: 'ignore' }));
  }
}
