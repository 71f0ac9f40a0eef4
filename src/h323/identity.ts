/** Who we say we are: neutral and constant, so that nothing can be learned of product or version. */
import type { Random } from '../machine/machine.ts';
import type { EndpointType, VendorIdentifier } from './asn1/h225-types.ts';

/** H.225.0 version 4: what chan_ooh323 and GnuGk speak; no field of a later edition is sent. */
export const H225_PROTOCOL = '0.0.8.2250.0.4';
/** H.245 version 7. */
export const H245_PROTOCOL = '0.0.8.245.0.7';

/** T.35 country code 255 extension 0, manufacturer 0: none of those assigned. */
export const VENDOR: VendorIdentifier = {
  vendor: { t35CountryCode: 255, t35Extension: 0, manufacturerCode: 0 },
};

/** A gateway without multipoint controller. */
export const ENDPOINT_TYPE: EndpointType = {
  vendor: VENDOR,
  gateway: {},
  mc: false,
  undefinedNode: false,
};

/** H.245 C.4.1.3: gateway without MC. */
export const TERMINAL_TYPE = 60;

/** A conference or call identifier, fresh for every leg. */
export function freshGuid(random: Random): Uint8Array {
  return random.bytes(16);
}
