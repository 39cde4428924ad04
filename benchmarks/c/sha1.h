/* Sec-WebSocket-Accept (RFC 6455, section 4.2.2): base64 of the SHA-1 of the client's key and a constant. */
#ifndef SHA1_H
#define SHA1_H
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static inline uint32_t rotated(uint32_t x, int bits) { return x << bits | x >> (32 - bits); }

/* Of at most 119 bytes. */
static void sha1(const char *text, size_t size, uint8_t digest[20]) {
  uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  uint8_t padded[128] = {0};
  size_t total = ((size + 8) / 64 + 1) * 64;
  memcpy(padded, text, size);
  padded[size] = 0x80;
  for (int i = 0; i < 8; i++) padded[total - 1 - (size_t)i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
  for (size_t block = 0; block < total; block += 64) {
    uint32_t w[80], v[5];
    for (size_t i = 0; i < 16; i++) {
      const uint8_t *p = padded + block + 4 * i;
      w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (int i = 16; i < 80; i++) w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20   ? ((v[1] & v[2]) | (~v[1] & v[3])) + 0x5A827999
                   : i < 40 ? (v[1] ^ v[2] ^ v[3]) + 0x6ED9EBA1
                   : i < 60 ? ((v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])) + 0x8F1BBCDC
                            : (v[1] ^ v[2] ^ v[3]) + 0xCA62C1D6;
      uint32_t next = rotated(v[0], 5) + f + v[4] + w[i];
      v[4] = v[3];
      v[3] = v[2];
      v[2] = rotated(v[1], 30);
      v[1] = v[0];
      v[0] = next;
    }
    for (int i = 0; i < 5; i++) state[i] += v[i];
  }
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void websocket_accept(const char *key, char accept[29]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char text[120];
  uint8_t digest[21] = {0};
  int size = snprintf(text, sizeof text, "%.60s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  sha1(text, (size_t)size, digest);
  for (int i = 0; i < 7; i++) {
    uint32_t three = (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];
    for (int j = 0; j < 4; j++) accept[4 * i + j] = letters[three >> (18 - 6 * j) & 63];
  }
  accept[27] = '=';
  accept[28] = 0;
}
#endif
