/* The lease protocol of this module for one guest, for spin: LeaseBook (manager), LeaseKeeper (agents), the stamp at
   the disk. Checked: never do two nodes run the guest, and stamps only grow.

   What is around them: messages are lost, doubled and delayed (for each node one is on its way: a renewal or the answer
   to it; it is delivered at any time or overtaken by the next, and a renewal may be told again to a manager that has
   restarted); an agent that acts late is one that isn't scheduled; hosts lose power, and come back with or without what
   their agents knew; the manager restarts, and is restored from the backup that was made at the beginning. Time goes
   in ticks, and all clocks agree: how wrong they may go is arithmetic (timing.h), which the simulation tries.

   How much happens, how long an answer is good for, and which rule is wrong is read from the environment (set_up), so
   that it is compiled once; check_model has the cases. */

c_decl {
  \#include <stdlib.h>
  static int setting(const char* name) { const char* value = getenv(name); return value ? atoi(value) : 0; }
}

/* Wrong rules. */
#define LEARNS_NOT 1
#define BELIEVES_ORDERS 2
#define COUNTS_FROM_RENEWAL 3
#define FORGETS_WATCHDOG 4
#define IGNORES_CLAIMS 5
#define OLD_COUNTER 6
#define STARTS_BY_ANY_ANSWER 7
#define STARTS_BY_AN_OLDER_LOOK 8
byte fault;

byte good_for;               /* ticks that an answer is good for, from when its renewal was sent */
#define WATCHDOG 1           /* ticks after which a host that isn't fed is reset */
#define LAPSE (good_for + WATCHDOG)
bit stop;                    /* the terms: leases end by time and watchdog; otherwise only by power */
#define NODES 2
#define NOBODY NODES
#define BIT(t) (1 << (t))

typedef Lease { byte token; byte after; bit incoming; byte from; byte from_token; bit stamped }

/* Agents and hosts. */
Lease held[NODES];
bit on[NODES], runs[NODES], gone[NODES], startable[NODES], recalled[NODES];
byte starting[NODES];                  /* 0, 1: to start, 2: to come in; 3, 4: likewise, and its stamp was looked at */
byte left[NODES], fed[NODES];          /* ticks */
byte released[NODES], released_stamped[NODES];  /* sets of tokens */
bit refused[NODES];
Lease found[NODES];                    /* the stamp that refused it; `after` is its node */

/* The disk. */
byte disk_node = NOBODY, disk_token, disk_from = NOBODY, disk_from_token;

/* Messages. */
typedef Renewal { bit there; bit taken; bit live; byte age; Lease held; bit runs; byte released;
                  byte released_stamped; bit refused; Lease found }
typedef Answer { bit there; byte age; Lease grant; bit granted; bit startable; byte recalled;
                 byte settled; bit settled_refusal }
Renewal up[NODES];
Answer down[NODES];

/* The manager. */
#define ENTRIES 3
typedef Entry { byte node; byte token; byte after; bit incoming; byte from; byte from_token; bit stamped;
                bit recalled; bit mine }
Entry out[ENTRIES];                    /* outstanding; token 0: unused */
byte over, next_token;
byte ended[NODES];                     /* sets of tokens */
byte learning;                         /* ticks */
bit seen[NODES], seen_run[NODES], withheld[NODES], claimed[NODES];
byte claim_age[NODES];

byte most_tokens;                      /* that are granted */
/* That may still happen: moves of the guest, restored backups, ... */
byte moves, restores, restarts, orders, stops, cuts, crashes;
byte i, k, t, best, count, fresh;      /* scratch; 0 between steps */

inline check() {
  count = 0;
  for (i : 0 .. NODES - 1) { count = count + runs[i] }
  assert(count <= 1);
  count = 0; i = 0
}

inline copy(target, what) {
  target.token = what.token; target.after = what.after; target.incoming = what.incoming; target.from = what.from;
  target.from_token = what.from_token; target.stamped = what.stamped
}
inline clear(lease) {
  lease.token = 0; lease.after = 0; lease.incoming = 0; lease.from = NOBODY; lease.from_token = 0; lease.stamped = 0
}

inline drop_answer(self) {
  down[self].there = 0; down[self].age = 0; clear(down[self].grant); down[self].granted = 0; down[self].startable = 0;
  down[self].recalled = 0; down[self].settled = 0; down[self].settled_refusal = 0
}

inline drop_renewal(self) {
  up[self].there = 0; up[self].taken = 0; up[self].live = 0; up[self].age = 0; clear(up[self].held); up[self].runs = 0;
  up[self].released = 0; up[self].released_stamped = 0; up[self].refused = 0; clear(up[self].found)
}

/* --- the manager --- */

inline count_entries() {
  count = 0;
  for (k : 0 .. ENTRIES - 1) { if :: out[k].token != 0 -> count++ :: else fi }
}

inline drop_old_ended() {
  for (k : 0 .. NODES - 1) { ended[k] = (ended[k] >> (over + 1)) << (over + 1) }
  k = 0
}

/* Entry e is over. */
inline end_entry(which) {
  if
  :: out[which].stamped -> if :: out[which].token > over -> over = out[which].token :: else fi
  :: else -> ended[out[which].node] = ended[out[which].node] | BIT(out[which].token)
  fi;
  clear_entry(which)
}

inline clear_entry(which) {
  out[which].node = 0; out[which].token = 0; out[which].after = 0; out[which].incoming = 0; out[which].from = NOBODY;
  out[which].from_token = 0; out[which].stamped = 0; out[which].recalled = 0; out[which].mine = 0
}

inline after_end() {
  drop_old_ended();
  only_one_runs()
}

/* A guest can't come in any more where only one lease is left. */
inline only_one_runs() {
  count_entries();
  if
  :: count == 1 -> for (k : 0 .. ENTRIES - 1) { out[k].incoming = 0 }
  :: else
  fi;
  count = 0; k = 0
}

inline end_node(self) {
  for (i : 0 .. ENTRIES - 1) { if :: out[i].token != 0 && out[i].node == self -> end_entry(i) :: else fi }
  i = 0;
  after_end()
}

/* best = the entry of node n and token t, or ENTRIES; fresh = a free one, or ENTRIES. */
inline find_entry(self, number) {
  best = ENTRIES; fresh = ENTRIES;
  for (k : 0 .. ENTRIES - 1) {
    if
    :: out[k].token == 0 -> fresh = k
    :: out[k].token != 0 && out[k].node == self && out[k].token == number -> best = k
    :: else
    fi
  }
  k = 0
}

inline learn_one(self, number, arrives, source, source_number, was_stamped) {
  find_entry(self, number);
  if
  :: number <= over || (ended[self] & BIT(number)) != 0 -> skip
  :: else ->
    if
    :: best < ENTRIES -> out[best].stamped = out[best].stamped | was_stamped
    :: else ->
      assert(fresh < ENTRIES);
      out[fresh].node = self; out[fresh].token = number; out[fresh].incoming = arrives; out[fresh].from = source;
      out[fresh].from_token = source_number; out[fresh].stamped = was_stamped
    fi
  fi;
  best = 0; fresh = 0
}

/* A guest that is to come in may still be where it comes from. */
inline learn_holder(self, number, arrives, source, source_number, was_stamped) {
  find_entry(self, number);
  count = (best == ENTRIES && number > over && (ended[self] & BIT(number)) == 0 && source != NOBODY -> 1 : 0);
  learn_one(self, number, arrives, source, source_number, was_stamped);
  if
  :: count -> learn_one(source, source_number, 0, NOBODY, 0, 1)
  :: else
  fi;
  count = 0
}

inline learn_refusal(self) {
  find_entry(up[self].found.after, up[self].found.token);
  if
  :: best < ENTRIES -> out[best].stamped = 1
  :: best == ENTRIES && (ended[up[self].found.after] & BIT(up[self].found.token)) != 0 ->
    if :: up[self].found.token > over -> over = up[self].found.token :: else fi;
    drop_old_ended()
  :: else ->
    learn_holder(up[self].found.after, up[self].found.token, 0, up[self].found.from, up[self].found.from_token, 1)
  fi;
  best = 0; fresh = 0
}

inline learn(self) {
  if :: up[self].refused -> learn_refusal(self) :: else fi;
  if
  :: up[self].held.token != 0 ->
    learn_holder(self, up[self].held.token, up[self].held.incoming, up[self].held.from,
                 up[self].held.from_token, up[self].held.stamped)
  :: else
  fi;
  for (i : 0 .. ENTRIES - 1) {
    if
    :: out[i].token != 0 && out[i].node == self && (up[self].released & BIT(out[i].token)) != 0 ->
      if :: (up[self].released_stamped & BIT(out[i].token)) != 0 -> out[i].stamped = 1 :: else fi;
      end_entry(i)
    :: else
    fi
  }
  i = 0;
  after_end()
}

/* Of several leases the node that runs the guest keeps its own, those that don't run it give theirs back. */
inline resolve() {
  only_one_runs();
  count_entries();
  fresh = 0; best = ENTRIES;
  for (k : 0 .. ENTRIES - 1) {
    if
    :: out[k].token == 0 -> skip
    :: else ->
      if :: out[k].incoming && !seen_run[out[k].node] -> fresh = 1 :: else fi;
      if
      :: best == ENTRIES -> best = k
      :: best < ENTRIES && (seen_run[out[k].node] > seen_run[out[best].node] ||
         (seen_run[out[k].node] == seen_run[out[best].node] && out[k].token > out[best].token)) -> best = k
      :: else
      fi
    fi
  }
  if
  :: count >= 2 && !fresh ->
    for (k : 0 .. ENTRIES - 1) {
      if
      :: out[k].token != 0 && k != best && seen[out[k].node] && !seen_run[out[k].node] -> out[k].recalled = 1
      :: else
      fi
    }
  :: else
  fi;
  count = 0; k = 0; best = 0; fresh = 0
}

inline answer(self) {
  find_entry(self, up[self].held.token);
  down[self].recalled = (up[self].held.token != 0 && best == ENTRIES -> BIT(up[self].held.token) : 0);
  best = 0; fresh = 0;
  resolve();
  count_entries();
  down[self].granted = 0; down[self].startable = 0;
  for (k : 0 .. ENTRIES - 1) {
    if
    :: out[k].token == 0 || out[k].node != self -> skip
    :: else ->
      if
      :: out[k].recalled || (out[k].token != up[self].held.token && !out[k].mine) ->
        down[self].recalled = down[self].recalled | BIT(out[k].token)
      :: else ->
        if
        :: down[self].granted && down[self].grant.token == up[self].held.token -> skip
        :: else ->
          down[self].granted = 1;
          down[self].grant.token = out[k].token; down[self].grant.after = out[k].after;
          down[self].grant.incoming = out[k].incoming; down[self].grant.from = out[k].from;
          down[self].grant.from_token = out[k].from_token;
          down[self].startable = (count == 1 && !out[k].incoming && learning == 0)
        fi
      fi
    fi
  }
  count = 0; k = 0;
  down[self].settled = up[self].released; down[self].settled_refusal = up[self].refused;
  down[self].age = up[self].age; down[self].there = 1
}

/* The token of a new lease, in `t`. */
inline take_token() {
  t = next_token;
  if :: over >= t -> t = over + 1 :: else fi;
  for (k : 0 .. ENTRIES - 1) { if :: out[k].token >= t -> t = out[k].token + 1 :: else fi }
  for (k : 0 .. NODES - 1) {
    do
    :: (ended[k] >> t) != 0 -> t++
    :: else -> break
    od
  }
  k = 0;
  if :: fault == OLD_COUNTER -> t = next_token :: else fi;
  next_token = t + 1
}

inline add_entry(self, arrives, source, source_number) {
  find_entry(self, 255);
  out[fresh].node = self; out[fresh].token = t; out[fresh].after = over; out[fresh].incoming = arrives;
  out[fresh].from = source; out[fresh].from_token = source_number; out[fresh].mine = 1;
  best = 0; fresh = 0; t = 0
}

inline new_manager() {
  learning = (fault == LEARNS_NOT -> 0 : LAPSE);
  for (i : 0 .. NODES - 1) {
    seen[i] = 0; seen_run[i] = 0; withheld[i] = 0; claimed[i] = 0; claim_age[i] = 0; up[i].taken = 0
  }
  for (i : 0 .. ENTRIES - 1) { out[i].mine = 0 }
  i = 0
}

inline restore_backup() {
  for (i : 0 .. ENTRIES - 1) { clear_entry(i) }
  for (i : 0 .. NODES - 1) { ended[i] = 0 }
  out[0].node = 0; out[0].token = 1; out[0].stamped = 1;
  over = 0; next_token = 2; i = 0
}

/* Its part for node n. */
proctype manager(byte n) {
end:
  do
  :: d_step { up[n].there && !up[n].taken ->
      up[n].taken = 1;
      seen[n] = 1; seen_run[n] = up[n].runs;
      claimed[n] = 0; claim_age[n] = 0;
      learn(n);
      if :: up[n].live && !withheld[n] -> answer(n) :: else fi;
      /* Another process may be told it again. */
      if :: restarts + restores == 0 -> drop_renewal(n) :: else fi }
  :: d_step { learning == 0 && seen[n] && next_token <= most_tokens ->
      count_entries();
      if
      :: count == 0 -> take_token(); add_entry(n, 0, NOBODY, 0)
      :: else
      fi;
      count = 0 }
  :: d_step { learning == 0 && seen[n] && next_token <= most_tokens && moves > 0 ->
      count_entries();
      for (i : 0 .. ENTRIES - 1) { if :: out[i].token != 0 -> best = i :: else fi }
      i = best; best = 0;
      if
      :: count == 1 && out[i].node != n && !out[i].recalled ->
        moves--; take_token(); add_entry(n, 1, out[i].node, out[i].token)
      :: else
      fi;
      count = 0; i = 0 }
  :: d_step { seen[n] ->           /* a move is given up */
      for (i : 0 .. ENTRIES - 1) {
        if :: out[i].incoming && out[i].node == n && !seen_run[n] -> out[i].recalled = 1 :: else fi
      }
      i = 0 }
  :: d_step { orders > 0 && !withheld[n] && !claimed[n] -> orders--; withheld[n] = 1 }  /* it is ordered off */
  :: d_step { withheld[n] && on[n] -> withheld[n] = 0 }                                 /* that failed */
  :: d_step { withheld[n] && (!on[n] || fault == BELIEVES_ORDERS) ->
      withheld[n] = 0; end_node(n) }
  :: d_step { stop && !claimed[n] && !withheld[n] ->
      claimed[n] = 1; claim_age[n] = (fault == COUNTS_FROM_RENEWAL -> good_for : 0) }
  :: d_step { claimed[n] && claim_age[n] >= (fault == FORGETS_WATCHDOG -> good_for : LAPSE) ->
      claimed[n] = 0; claim_age[n] = 0; end_node(n) }
  od
}

proctype manager_process() {
end:
  do
  :: d_step { restarts > 0 -> restarts--; new_manager() }
  :: d_step { restores > 0 -> restores--; restore_backup(); new_manager() }
  od
}

/* --- agents --- */

inline release(self) {
  released[self] = released[self] | BIT(held[self].token);
  if :: held[self].stamped -> released_stamped[self] = released_stamped[self] | BIT(held[self].token) :: else fi;
  clear(held[self]);
  recalled[self] = 0; startable[self] = 0; left[self] = 0; fed[self] = 0
}

inline take_answer(self) {
  released[self] = released[self] & ~down[self].settled;
  released_stamped[self] = released_stamped[self] & released[self];
  if :: down[self].settled_refusal -> refused[self] = 0; clear(found[self]) :: else fi;
  startable[self] = 0;
  if
  :: held[self].token != 0 && (down[self].recalled & BIT(held[self].token)) != 0 ->
    recalled[self] = 1;
    if :: !runs[self] && !starting[self] -> release(self) :: else fi
  :: else
  fi;
  released[self] = released[self] | (down[self].recalled & ~(held[self].token != 0 -> BIT(held[self].token) : 0));
  if
  :: down[self].granted && (released[self] & BIT(down[self].grant.token)) == 0 ->
    if :: held[self].token == 0 -> copy(held[self], down[self].grant) :: else fi;
    if
    :: held[self].token == down[self].grant.token ->
      held[self].incoming = down[self].grant.incoming;
      left[self] = (good_for - down[self].age > left[self] -> good_for - down[self].age : left[self]);
      fed[self] = (stop -> WATCHDOG : 0);
      startable[self] = down[self].startable
    :: else
    fi
  :: else
  fi;
  drop_answer(self)
}

#define KNOWN(n) (disk_token <= held[n].after || (disk_node == held[n].from && disk_token == held[n].from_token))
#define MINE(n) (disk_node == n && disk_token == held[n].token)

inline stamp(self) {
  if
  :: !held[self].stamped && KNOWN(self) ->
    assert(disk_token < held[self].token);
    disk_node = self; disk_token = held[self].token; disk_from = held[self].from;
    disk_from_token = held[self].from_token;
    held[self].stamped = 1; starting[self] = starting[self] + 2
  :: else ->
    if
    :: held[self].stamped && MINE(self) -> starting[self] = starting[self] + 2
    :: else ->
      refused[self] = 1;
      found[self].after = disk_node; found[self].token = disk_token; found[self].from = disk_from;
      found[self].from_token = disk_from_token;
      starting[self] = 0;
      release(self)
    fi
  fi
}

/* Its answers are for nobody. */
inline forget_messages(self) {
  up[self].live = 0; up[self].age = 0;
  drop_answer(self)
}

inline power_off(self) {
  on[self] = 0; runs[self] = 0; gone[self] = 0; starting[self] = 0; startable[self] = 0;
  recalled[self] = 0; left[self] = 0; fed[self] = 0;
  forget_messages(self)
}

proctype agent(byte n) {
end:
  do
  :: d_step { on[n] ->
      drop_answer(n);            /* it comes too late */
      up[n].there = 1; up[n].taken = 0; up[n].live = 1; up[n].age = 0;
      copy(up[n].held, held[n]); up[n].runs = runs[n] || starting[n];
      up[n].released = released[n]; up[n].released_stamped = released_stamped[n];
      up[n].refused = refused[n]; copy(up[n].found, found[n]) }
  :: d_step { on[n] && down[n].there -> take_answer(n) }
  :: d_step { on[n] && held[n].token != 0 && !runs[n] && !starting[n] && !held[n].incoming && !recalled[n] &&
              startable[n] && left[n] > 0 ->
      starting[n] = (held[n].stamped && fault == STARTS_BY_AN_OLDER_LOOK -> 3 : 1) }
  :: d_step { on[n] && held[n].token != 0 && !runs[n] && !starting[n] && held[n].incoming && !recalled[n] &&
              left[n] > 0 -> starting[n] = 2 }
  :: d_step { on[n] && (starting[n] == 1 || starting[n] == 2) -> stamp(n) }
  :: d_step { on[n] && starting[n] == 3 && !recalled[n] && (startable[n] || fault == STARTS_BY_ANY_ANSWER) &&
              left[n] > 0 ->
      starting[n] = 0; runs[n] = 1; check() }
  :: d_step { on[n] && starting[n] == 4 && !recalled[n] && left[n] > 0 && MINE(n) &&
              held[n].from != NOBODY && runs[held[n].from] && held[held[n].from].token == held[n].from_token ->
      runs[held[n].from] = 0; gone[held[n].from] = 1; starting[n] = 0; runs[n] = 1; check() }
  :: d_step { on[n] && starting[n] -> starting[n] = 0; if :: recalled[n] -> release(n) :: else fi }
  :: d_step { on[n] && runs[n] && (stops > 0 || recalled[n] || held[n].token == 0) ->
      if :: !recalled[n] && held[n].token != 0 -> stops-- :: else fi;
      runs[n] = 0; if :: recalled[n] -> release(n) :: else fi }
  :: d_step { on[n] && gone[n] && !runs[n] && !starting[n] ->
      gone[n] = 0; if :: held[n].token != 0 -> release(n) :: else fi }
  /* The manager is away, perhaps; but it claims nothing. */
  :: d_step { stop && on[n] && runs[n] && left[n] > 0 && (!claimed[n] || fault == IGNORES_CLAIMS) ->
      left[n] = good_for }
  :: d_step { on[n] && crashes > 0 ->
      crashes--; starting[n] = 0; startable[n] = 0; recalled[n] = 0; forget_messages(n) }
  :: d_step { on[n] && (withheld[n] || cuts > 0) -> if :: !withheld[n] -> cuts-- :: else fi; power_off(n) }
  :: d_step { !on[n] -> on[n] = 1 }
  :: d_step { !on[n] ->          /* one without a disk */
      on[n] = 1; clear(held[n]); released[n] = 0; released_stamped[n] = 0; refused[n] = 0; clear(found[n]) }
  od
}

proctype time() {
end:
  do
  :: d_step { true ->
      for (i : 0 .. NODES - 1) {
        if
        :: left[i] > 0 -> left[i]--; fed[i] = (stop -> WATCHDOG : 0)   /* fed at the last moment */
        :: left[i] == 0 && fed[i] > 0 -> fed[i]--
        :: else
        fi;
        if :: stop && on[i] && (runs[i] || starting[i]) && left[i] == 0 && fed[i] == 0 -> power_off(i) :: else fi;
        if :: claimed[i] && claim_age[i] < LAPSE -> claim_age[i]++ :: else fi;
        if :: up[i].live -> up[i].age++ :: else fi;
        if :: up[i].age == good_for -> up[i].age = 0; up[i].live = 0 :: else fi;  /* it is still heard */
        if :: down[i].there -> down[i].age++ :: else fi;
        if :: down[i].there && down[i].age == good_for -> drop_answer(i) :: else fi
      }
      i = 0;
      if :: learning > 0 -> learning-- :: else fi }
  od
}

/* Node 0 runs the guest under token 1. */
init {
  d_step {
    c_code {
      now.fault = setting("FAULT"); now.stop = setting("STOP"); now.good_for = setting("GOOD_FOR");
      now.most_tokens = setting("TOKENS"); now.moves = setting("MOVES");
      now.restores = setting("RESTORES"); now.restarts = setting("RESTARTS"); now.orders = setting("ORDERS");
      now.stops = setting("STOPS"); now.cuts = setting("CUTS");
      now.crashes = setting("CRASHES");
    };
    for (i : 0 .. NODES - 1) {
      on[i] = 1; clear(held[i]); clear(found[i]); clear(up[i].held); clear(up[i].found); clear(down[i].grant)
    }
    for (i : 0 .. ENTRIES - 1) { clear_entry(i) }
    held[0].token = 1; held[0].stamped = 1; runs[0] = 1; left[0] = good_for; fed[0] = (stop -> WATCHDOG : 0);
    disk_node = 0; disk_token = 1;
    restore_backup();
    i = 0
  };
  atomic {
    run agent(0); run manager(0); run agent(1); run manager(1);
    run manager_process();
    run time()
  }
}
