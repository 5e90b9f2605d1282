// Headroom: may hosts fail and their guests still find room (vcpus, memory) on those that are left?
//
// Two looks. The quick one is sound and enough for most clusters: a guest's size is the larger of its parts of the
// largest host, a host's room the smaller of its rooms. Where a guest of size s finds no room, every host has less than
// s left; so guests up to size m that want no more in sum than the sum of (room - m) of the hosts left always fit,
// however they are put. If that doesn't hold for the worst hosts, the guests of the hosts in question are put, the
// largest first, where most room is: for one failure of every host in turn, for more failures of the fullest hosts
// together. Rules and pools aren't looked at.
#pragma once

namespace bridgehead::scheduler {

class State;

// Of Policy::failures, how many can't be survived: 0 = all is well.
double missing_headroom(const State& state);

}  // namespace bridgehead::scheduler
