//! Provinces and their cities, or the districts of a municipality: names only, the more populous first.

/// A province and its cities, in pinyin, ready to stand in a service's name.
pub(super) type Province = (&'static str, [&'static str; 6]);

/// Every province that a network can reach, in the order in which a growing network reaches them.
pub(super) const PROVINCES: [Province; 31] = [
    ("guangdong", ["guangzhou", "shenzhen", "foshan", "dongguan", "shantou", "zhuhai"]),
    ("jiangsu", ["nanjing", "suzhou", "wuxi", "nantong", "xuzhou", "changzhou"]),
    ("shandong", ["jinan", "qingdao", "yantai", "weifang", "linyi", "zibo"]),
    ("zhejiang", ["hangzhou", "ningbo", "wenzhou", "jiaxing", "shaoxing", "jinhua"]),
    ("henan", ["zhengzhou", "luoyang", "nanyang", "xinxiang", "kaifeng", "anyang"]),
    ("sichuan", ["chengdu", "mianyang", "nanchong", "yibin", "luzhou", "leshan"]),
    ("hubei", ["wuhan", "xiangyang", "yichang", "jingzhou", "huanggang", "shiyan"]),
    ("hunan", ["changsha", "hengyang", "zhuzhou", "yueyang", "changde", "xiangtan"]),
    ("fujian", ["fuzhou", "xiamen", "quanzhou", "zhangzhou", "putian", "longyan"]),
    ("anhui", ["hefei", "wuhu", "fuyang", "anqing", "bengbu", "huainan"]),
    ("hebei", ["shijiazhuang", "tangshan", "baoding", "handan", "cangzhou", "langfang"]),
    ("beijing", ["chaoyang", "haidian", "fengtai", "xicheng", "dongcheng", "tongzhou"]),
    ("shanghai", ["pudong", "minhang", "baoshan", "xuhui", "jiading", "songjiang"]),
    ("liaoning", ["shenyang", "dalian", "anshan", "fushun", "jinzhou", "dandong"]),
    ("shaanxi", ["xian", "xianyang", "baoji", "weinan", "hanzhong", "yulin"]),
    ("jiangxi", ["nanchang", "ganzhou", "jiujiang", "shangrao", "yichun", "jian"]),
    ("chongqing", ["yuzhong", "yubei", "wanzhou", "jiangbei", "fuling", "hechuan"]),
    ("yunnan", ["kunming", "qujing", "dali", "yuxi", "honghe", "lijiang"]),
    ("guangxi", ["nanning", "liuzhou", "guilin", "yulin", "wuzhou", "beihai"]),
    ("shanxi", ["taiyuan", "datong", "changzhi", "linfen", "jinzhong", "yuncheng"]),
    ("guizhou", ["guiyang", "zunyi", "bijie", "anshun", "tongren", "liupanshui"]),
    ("heilongjiang", ["harbin", "daqing", "qiqihar", "mudanjiang", "suihua", "jiamusi"]),
    ("jilin", ["changchun", "jilin", "siping", "songyuan", "tonghua", "yanbian"]),
    ("tianjin", ["binhai", "heping", "nankai", "hexi", "wuqing", "jinghai"]),
    ("neimenggu", ["hohhot", "baotou", "ordos", "chifeng", "tongliao", "hulunbuir"]),
    ("xinjiang", ["urumqi", "kashgar", "yining", "korla", "aksu", "hami"]),
    ("gansu", ["lanzhou", "tianshui", "wuwei", "jiuquan", "dingxi", "baiyin"]),
    ("hainan", ["haikou", "sanya", "danzhou", "qionghai", "wenchang", "wanning"]),
    ("ningxia", ["yinchuan", "wuzhong", "shizuishan", "guyuan", "zhongwei", "lingwu"]),
    ("qinghai", ["xining", "haidong", "golmud", "delingha", "yushu", "guoluo"]),
    ("xizang", ["lhasa", "shigatse", "nyingchi", "qamdo", "lhoka", "nagqu"]),
];
