/* Chat: persons write into the public channels, alone or in bursts, and some leave a channel for good. What
 * must hold of it is in check.c, because it holds of every entry. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"

enum { STREAM_CHAT = 100 };

struct chat {
    uint64_t left; /* messages that may still be written */
    uint64_t tried, written;
    struct dice *dice; /* by device */
    uint8_t text[NODE_BODY_BYTES_MAX], body[NODE_BODY_BYTES_MAX];
};

static struct chat *chat_of(struct sim *sim)
{
    return *activity_state(sim, &activity_chat);
}

static uint32_t some_channel(const struct sim *sim, const struct device *d, struct dice *dice)
{
    uint32_t channel = (uint32_t)dice_below(dice, sim->setup.channels);
    return is_member(d, channel) ? channel : 0;
}

static void say_something(struct sim *sim, struct chat *chat, struct device *d)
{
    struct dice *dice = &chat->dice[d->index];
    uint32_t channel = some_channel(sim, d, dice);
    uint32_t most = dice_chance(dice, 30) ? NODE_BODY_BYTES_MAX - 4 : 200;
    uint32_t len = (uint32_t)dice_between(dice, SIM_WINDOW_BYTES + 8, most);
    for (uint32_t at = 0; at < len; at += SIM_WINDOW_BYTES) /* marked all over */
        memcpy(chat->text + at, check_mark, len - at < SIM_WINDOW_BYTES ? len - at : SIM_WINDOW_BYTES);
    dice_bytes(dice, chat->text + SIM_WINDOW_BYTES, 8);
    struct writer w = writer_of(chat->body, sizeof chat->body);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(chat->text, len));
    chat->tried++;
    if (device_send(sim, d, channel, ENTRY_TEXT, writer_slice(&w)) <= 0) return;
    chat->written++;
    chat->left--;
}

static void say_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t pause_us)
{
    struct device *d = &sim->devices[device];
    struct chat *chat = chat_of(sim);
    struct dice *dice = &chat->dice[device];
    (void)unused;
    if (sim->now >= sim->faults_end || chat->left == 0) return;
    uint64_t burst = dice_chance(dice, 50) ? dice_between(dice, 2, 40) : 1;
    for (uint64_t i = 0; i < burst && d->up && chat->left > 0 && !sim->report.failed; i++)
        say_something(sim, chat, d);
    schedule_at(sim, sim->now + 1 + dice_below(dice, 2 * pause_us), say_event, device, 0, pause_us);
}

/* For good; what it wrote there before, LEAVE included, is still owed to the others. */
static void leave_event(struct sim *sim, uint32_t device, uint32_t channel, uint64_t unused)
{
    struct device *d = &sim->devices[device];
    (void)unused;
    if (!d->up) return;
    struct command command = {.kind = COMMAND_LEAVE, .channel = sim->channels[channel].id};
    int64_t rc = device_command(sim, d, &command);
    if (rc > 0) {
        sim_tell(sim, "device %u leaves channel %u", device, channel);
        membership_of(d, channel)->member = false;
    } else if (rc != ERR_NOT_FOUND && rc != ERR_WRONG_STATE && rc != ERR_BUSY && rc != ERR_MEMORY) {
        sim_fail(sim, "device %u: COMMAND_LEAVE: %s", device, err_name((int)rc));
    }
}

static void plan_comings(struct sim *sim, struct device *d, struct dice *dice)
{
    usec duration = sim->faults_end - sim->now;
    for (uint32_t c = 1; c < sim->setup.channels; c++) {
        struct membership *m = membership_of(d, c);
        usec leaves_at = sim->now + dice_below(dice, duration),
             joins_at = sim->now + dice_below(dice, duration);
        bool leaves = dice_chance(dice, 150), joins_late = dice_chance(dice, 500);
        if (!m) continue;
        if (leaves) schedule_at(sim, leaves_at, leave_event, d->index, c, 0);
        if (!joins_late) continue;
        m->joins_at = joins_at;
        schedule_at(sim, joins_at, join_event, d->index, 0, 0);
    }
}

static void chat_plan(struct sim *sim)
{
    const struct setup *setup = &sim->setup;
    struct chat *chat = must_alloc(sizeof *chat);
    *activity_state(sim, &activity_chat) = chat;
    chat->left = setup->messages;
    chat->dice = must_alloc(sim->devices_len * sizeof *chat->dice);
    uint32_t stride = setup->speakers ? (setup->persons + setup->speakers - 1) / setup->speakers : 1;
    for (uint32_t i = 1; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        struct dice *dice = &chat->dice[i];
        *dice = dice_stream(sim->options.seed, STREAM_CHAT, i);
        if (d->kind != DEVICE_PERSON) continue;
        bool speaks = setup->speakers ? i % stride == 0 || stride == 1 : dice_chance(dice, 800);
        usec pause = dice_between(dice, setup->pause_least, setup->pause_most);
        if (speaks) membership_of(d, 0)->quiet = false;
        if (speaks) schedule_at(sim, sim->now + dice_below(dice, pause), say_event, i, 0, pause);
        plan_comings(sim, d, dice);
    }
}

static void chat_end(struct sim *sim)
{
    struct chat *chat = chat_of(sim);
    if (chat->tried > 50 && chat->written == 0 && sim->faults == 0)
        sim_fail(sim, "%llu times somebody wanted to write and could not", (unsigned long long)chat->tried);
    free(chat->dice);
    free(chat);
}

const struct activity activity_chat = {
    .name = "chat",
    .brief = "persons write into the public channels, join late and leave",
    .chance = 1000,
    .plan = chat_plan,
    .end = chat_end,
};
