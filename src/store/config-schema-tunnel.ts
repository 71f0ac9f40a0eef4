/** The key `tunnel` of the configuration's definition (config-schema.ts). */
import { z } from 'zod';
import { address, gatewayName, path } from './config-schema-values.ts';

const site = z
  .strictObject({
    name: gatewayName().describe("The relay gateway's name, as in its tunnel certificate."),
    maxCalls: z.int().min(1).max(100_000).default(1000).describe('Most calls of this site at a time.'),
    maxCallsPerSecond: z
      .number()
      .min(0.1)
      .max(10_000)
      .default(50)
      .describe('New calls per second, both directions.'),
    maxMediaBytesPerSecond: z
      .int()
      .min(8_000)
      .max(10_000_000_000)
      .default(25_000_000)
      .describe('Most octets per second taken from the media connections of this site.'),
  })
  .describe('One site: a relay gateway that may dial this termination gateway.');

export const tunnel = z
  .strictObject({
    signalling: address()
      .exactOptional()
      .describe('Termination: where to listen, default "0.0.0.0:7060". Relay: where to dial (required).'),
    media: address()
      .exactOptional()
      .describe('Same for the media connections; default: the address of `signalling` with port 7061.'),
    certificate: path()
      .exactOptional()
      .describe(
        'PEM file of the tunnel certificate; its DNS subjectAltName is `name`. Default "pki/NAME.crt".',
      ),
    key: path().exactOptional().describe('PEM file of its private key, mode 0600. Default "pki/NAME.key".'),
    ca: path()
      .default('pki/ca.crt')
      .describe('PEM file of the CA (or CAs) the far gateway must be certified by.'),
    peerName: gatewayName()
      .exactOptional()
      .describe("Relay only, required: the termination gateway's name, as in its certificate."),
    sites: z.array(site).max(1000).default([]).describe('Termination only, at least one: who may dial.'),
    lanes: z.int().min(1).max(32).default(2).describe('Relay only: number of media connections.'),
  })
  .describe('Connection control: the two TCP ports between the gateways.');
