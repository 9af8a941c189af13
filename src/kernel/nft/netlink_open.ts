/**
 * Opens {@linkcode NetlinkNft} on the kernel of this network namespace.
 *
 * @module
 */

import { NETLINK_NETFILTER } from "../netlink/constants.ts";
import { NetlinkError } from "../netlink/errors.ts";
import { openNetlink } from "../netlink/socket.ts";
import { NetlinkNft } from "./netlink.ts";
import { unavailable } from "./netlink_error.ts";

/**
 * A handle by netlink.
 *
 * @throws {Error} when libnl is missing.
 * @throws {NftError} when the kernel has no nf_tables or we have no permission.
 */
export function openNetlinkNft(): NetlinkNft {
  const openChannel = () => openNetlink(NETLINK_NETFILTER);
  const breathe = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  try {
    const nft = new NetlinkNft({ channel: openChannel(), openChannel, breathe });
    nft.probe();
    return nft;
  } catch (error) {
    throw error instanceof NetlinkError ? unavailable(error) : error;
  }
}
