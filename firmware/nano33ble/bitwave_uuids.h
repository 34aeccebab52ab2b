/* The bitwave GATT service. The host's twin is host/bitwave/links/ble_uuids.py; a test holds both equal.
 *
 * Frames are cut into pieces of at most MTU - 3 bytes in both directions; a frame ends at its 0x00, not at a piece's
 * end. A host has the last piece of a frame confirmed (write), and with it those before (write without response).
 * After a new connection both sides begin with a 0x00, so that half a frame from before is dropped.
 */
#ifndef BITWAVE_UUIDS_H
#define BITWAVE_UUIDS_H

#define BITWAVE_UUID_SERVICE "baa40001-daa7-44f1-8012-f9cc0bcd4bbf"
#define BITWAVE_UUID_COMMAND "baa40002-daa7-44f1-8012-f9cc0bcd4bbf"    /* write, write without response: frames in */
#define BITWAVE_UUID_FRAMES "baa40003-daa7-44f1-8012-f9cc0bcd4bbf"     /* notify: frames out */
#define BITWAVE_UUID_INFO "baa40004-daa7-44f1-8012-f9cc0bcd4bbf"       /* read: body of an INFO frame */
#define BITWAVE_UUID_LAST_EVENT "baa40005-daa7-44f1-8012-f9cc0bcd4bbf" /* read, notify: body of an EVENT frame */

/* The advertised local name is this and four hexadecimal digits of the address: bitwave-1A2B. */
#define BITWAVE_NAME_PREFIX "bitwave-"

#endif
