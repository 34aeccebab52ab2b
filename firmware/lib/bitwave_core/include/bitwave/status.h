/* What a function that can fail returns. */
#ifndef BW_STATUS_H
#define BW_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BW_MUST_CHECK __attribute__((warn_unused_result))
#else
#define BW_MUST_CHECK
#endif

/* The numbers travel in STATUS frames: never reuse one. */
#define BW_STATUSES(X)                                                          \
    X(BW_OK, 0, "ok")                                                           \
    X(BW_BAD_ARGUMENT, 1, "an argument is out of range")                        \
    X(BW_ARENA_SMALL, 2, "the memory given is too small or not aligned")        \
    X(BW_IMAGE_SIZE, 3, "the image is truncated, too long or not aligned")      \
    X(BW_IMAGE_MAGIC, 4, "this is not a model image")                           \
    X(BW_IMAGE_ABI_OTHER, 5, "the image was made for another version")          \
    X(BW_IMAGE_CRC, 6, "the image is corrupt")                                  \
    X(BW_IMAGE_CONTENT, 7, "the image describes a model that cannot run")       \
    X(BW_SELF_TEST_FAILED, 8, "the model does not give its known answer")       \
    X(BW_NO_MODEL, 9, "there is no model")                                      \
    X(BW_NETWORK_ONLY, 10, "the model has no front end and no labels")          \
    X(BW_MODEL_MISMATCH, 11, "the model wants other channels or another scale") \
    X(BW_BAD_COMMAND, 12, "unknown or malformed command")                       \
    X(BW_BAD_STATE, 13, "the command does not fit what came before")            \
    X(BW_TOO_LARGE, 14, "the answer would not fit into the queue")              \
    X(BW_RATE_MISMATCH, 15, "the sensor's rate does not suit the model")        \
    X(BW_NOT_ALLOWED, 16, "not over this link: allow it over USB first")        \
    X(BW_FLASH_FAILED, 17, "the flash did not keep what was written")           \
    X(BW_NO_SLOTS, 18, "this board has no model slots")                         \
    X(BW_BUSY, 19, "another link is sending a model just now")                  \
    X(BW_NOTHING_OLDER, 20, "there is no older model to go back to")            \
    X(BW_LEFT_OUT, 21, "this firmware was built without what the model needs")

typedef enum bw_status {
#define BW_STATUS_ENTRY(name, number, text) name = number,
    BW_STATUSES(BW_STATUS_ENTRY)
#undef BW_STATUS_ENTRY
} bw_status;

/* A line for people; never NULL. */
const char *bw_status_text(bw_status status);

#ifdef __cplusplus
}
#endif

#endif
