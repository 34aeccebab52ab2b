/* Payloads to frames and back, and what the frames say. */
#ifndef BW_WIRE_H
#define BW_WIRE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* frame = COBS(payload, CRC-16/CCITT-FALSE of it) 0x00; payload = type u8, sequence u16, time_us u32, body */
#define BW_WIRE_HEADER 7u
#define BW_WIRE_PAYLOAD 512u
#define BW_WIRE_BODY (BW_WIRE_PAYLOAD - BW_WIRE_HEADER)
#define BW_WIRE_FRAME (BW_WIRE_PAYLOAD + 2u + 3u + 1u) /* CRC, COBS, delimiter */

typedef enum bw_frame_type {
    BW_FRAME_INFO = 0x01,
    BW_FRAME_SAMPLES = 0x02,
    BW_FRAME_EVENT = 0x03,
    BW_FRAME_SCORES = 0x04,
    BW_FRAME_STATUS = 0x05,
    BW_FRAME_TRACE = 0x06,
    BW_FRAME_COUNTERS = 0x07,
    BW_FRAME_FAULT = 0x08,
    BW_FRAME_UPDATE = 0x09,
    BW_FRAME_RATE = 0x0A,
    BW_COMMAND_INFO = 0x41,
    BW_COMMAND_STREAM = 0x42,
    BW_COMMAND_RECOGNISE = 0x43,
    BW_COMMAND_SELF_TEST = 0x44,
    BW_COMMAND_PARITY = 0x45,
    BW_COMMAND_COUNTERS = 0x46,
    BW_COMMAND_UPDATE_BEGIN = 0x47,
    BW_COMMAND_UPDATE_CHUNK = 0x48,
    BW_COMMAND_UPDATE_FINISH = 0x49,
    BW_COMMAND_UPDATE_ABORT = 0x4A,
    BW_COMMAND_ROLLBACK = 0x4B,
    BW_COMMAND_ALLOW_UPDATE = 0x4C,
    BW_COMMAND_BOOTLOADER = 0x4D
} bw_frame_type;

/* Bodies, in order of their bytes; every command but UPDATE_CHUNK is answered by STATUS, after the frame it asks for.
 *
 * INFO      format u8 = 3, image ABI u8, board u8, firmware u8[3], channels u8, labels u8, sensor rate u32 mHz,
 *           model rate u32 mHz, window u16, hop u16, accel scale u32, gyro scale u32, digest u8[8], lost samples u32,
 *           dropped frames u32; since format 2: active u8 (slot, BW_BUILT_IN; 0xFE: no model), slot states u8[2],
 *           flags u8 (BW_INFO_PHYSICAL, BW_INFO_MAY_UPDATE), room of a slot u32 (0: no slots), arena size u32, arena
 *           used by the model u32; since format 3: model u8 (BW_INFO_MODEL_...), sensor rate as measured u32
 *           mHz (0: not yet), the same as recognised u32 mHz (0: nobody recognises); then the labels: length u8 and
 *           ASCII. Sent unasked on both links when the model has changed.
 * SAMPLES   first u32, channels u8, count u8, count times: time since the sample before u16 us, channels i16
 * EVENT     sample u32, label u8, score u8
 * SCORES    sample u32, count u8, scores i8
 * STATUS    command type u8, command sequence u16, bw_status u8, text
 * TRACE     step u16, layer u8, hidden count u8, hidden i8, cell i16
 * COUNTERS  samples u32, lost u32, dropped frames u32, CRC errors u32, cycles per step u32, longest loop u32 us,
 *           stack used u32, stack size u32, arena used u32, arena size u32, samples recognised u32, of these slept
 *           through u32; 0: unmeasured. Readers take longer and shorter ones.
 * FAULT     bw_fault u8, text
 * UPDATE    bw_status u8 of the last chunk, active u8, received u32, size u32 (0: no update), digest u8[8]
 * RATE      sample u32, rate u32 mHz: with this sample recognition starts afresh, and takes the sensor's samples for
 *           ones of this rate. To the links that recognise. Where indices are missing it starts afresh too, at the same
 *           rate and without a frame. Who replays the samples so gets the board's scores and events
 *
 * INFO, SELF_TEST, COUNTERS, UPDATE_FINISH, UPDATE_ABORT, ROLLBACK, ALLOW_UPDATE, BOOTLOADER   empty
 * STREAM, RECOGNISE   on u8
 * PARITY              first step u16, count u8, flags u8 (BW_PARITY_...), int8 input
 * UPDATE_BEGIN        size u32, CRC-32 of the image u32, digest u8[8]; answered by UPDATE and STATUS. The same as the
 *                     update under way goes on at UPDATE's `received`, over whatever link
 * UPDATE_CHUNK        flags u8 (BW_CHUNK_ANSWER), offset u32, bytes of the image, a multiple of 4, at most
 *                     BW_UPDATE_CHUNK. Answered by UPDATE and STATUS where flagged, else not at all; but where one
 *                     cannot be taken (a chunk before it was lost), one unasked UPDATE tells from where to send again.
 *                     What was received already is passed over. So a host sends several ahead and flags the last
 * UPDATE_FINISH       answered by UPDATE, INFO on both links where the model has changed, STATUS
 *
 * UPDATE_... and ROLLBACK need a physical link, or on a remote one the window of BW_ALLOW_US that ALLOW_UPDATE over a
 * physical link opens, or bw_app_allow_update(). BOOTLOADER and ALLOW_UPDATE need a physical link. */

typedef struct bw_frame {
    uint8_t type;
    uint16_t sequence;
    uint32_t time_us;
    const uint8_t *body;
    size_t body_size;
} bw_frame;

uint16_t bw_crc16(const uint8_t bytes[], size_t size);

/* Encodes a payload of BW_WIRE_HEADER .. BW_WIRE_PAYLOAD bytes; returns the frame's size, delimiter included. */
size_t bw_wire_encode(uint8_t frame[BW_WIRE_FRAME], const uint8_t payload[], size_t payload_size);

typedef struct bw_wire_decoder {
    uint8_t buffer[BW_WIRE_FRAME];
    size_t size;
    uint8_t overrun; /* this frame is already too long */
    uint32_t errors; /* stretches between delimiters that were no frame */
} bw_wire_decoder;

void bw_wire_reset(bw_wire_decoder *decoder);

/* Takes one byte; 1 when it completes a sound frame, whose body stays valid until the next call. */
int bw_wire_receive(bw_wire_decoder *decoder, uint8_t byte, bw_frame *frame);

#ifdef __cplusplus
}
#endif

#endif
